#compdef qvd-usb-image
# zsh completion for qvd-usb-image

_qvd_usb_image() {
    local -a commands
    commands=('check:say what this image has and lacks for USB devices')
    if ((CURRENT == 2)); then
        _describe command commands
        return
    fi
    _arguments '--root[an image in a folder]:folder:_files -/' '--json[print JSON]' '--help[explain the command]' '*:user:_users'
}

_qvd_usb_image "$@"
