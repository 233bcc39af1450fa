#compdef qvd-usb
# zsh completion for qvd-usb

_qvd_usb_devices() {
    local -a devices
    devices=(${(f)"$(qvd-usb list 2>/dev/null | awk 'NR > 1 && $1 != "-" { print $1 }')"})
    _describe device devices
}

_qvd_usb_sessions() {
    local -a sessions
    sessions=(${(f)"$(qvd-usb sessions 2>/dev/null | awk '$1 != "no" { print $1 }')"})
    compadd -a sessions
}

_qvd_usb() {
    local -a commands
    commands=(
        'list:show the devices that are plugged in or remembered'
        'share:tick devices'
        'unshare:untick devices'
        'mode:show or choose when a ticked device is shared'
        'name:show or give the nickname of a device'
        'follow:show or choose for how long its port is followed'
        'connect:share the ticked devices with a session'
        'pair:be paired with a host'
        'sessions:show the stored sessions'
        'forget:remove a stored session'
        'status:show what the running session does'
        'watch:print each change as it happens'
        'explain:tell which rule decides about a device'
        'policy:show all rules'
        'doctor:look for what this computer lacks'
        '--version:print the version'
    )
    if ((CURRENT == 2)); then
        _describe command commands
        return
    fi
    case $words[2] in
        share) _arguments '--agree[say yes to what would be asked]' '--json[print JSON]' '*:device:_qvd_usb_devices' ;;
        mode) _arguments '--json[print JSON]' '2:device:_qvd_usb_devices' '3:when:(manual ask automatic)' ;;
        name) _arguments '--json[print JSON]' '2:device:_qvd_usb_devices' '3:nickname:' ;;
        follow) _arguments '--json[print JSON]' '2:device:_qvd_usb_devices' '3:seconds:' ;;
        unshare | explain) _arguments '--json[print JSON]' '*:device:_qvd_usb_devices' ;;
        pair) _arguments '--name[what to call the session]:name' '--json[print JSON]' '2:host:_hosts' ;;
        forget) _arguments '--json[print JSON]' '2:session:_qvd_usb_sessions' ;;
        connect) _arguments '2:session:_qvd_usb_sessions'  '--session[read the session from standard input]:-:(-)' '--session-fd[read it from a descriptor]:number' '--json[print JSON]' ;;
        *) _arguments '--json[print JSON]' ;;
    esac
}

_qvd_usb "$@"
