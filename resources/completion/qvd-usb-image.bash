# bash completion for qvd-usb-image

_qvd_usb_image() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "check --help" -- "$current")
    elif [[ $before == --root ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -W "--root --json --help" -u -- "$current")
    fi
}

complete -F _qvd_usb_image qvd-usb-image
