# bash completion for qvd-usb

_qvd_usb_devices() {
    qvd-usb list 2>/dev/null | awk 'NR > 1 && $1 != "-" { print $1 }'
}

_qvd_usb_sessions() {
    qvd-usb sessions 2>/dev/null | awk '$1 != "no" { print $1 }'
}

_qvd_usb() {
    local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "list share unshare mode name follow connect pair sessions forget status watch explain policy doctor --help --version" -- "$current")
        return
    fi
    case $command in
        share) mapfile -t COMPREPLY < <(compgen -W "--agree --json --help $(_qvd_usb_devices)" -- "$current") ;;
        mode)
            local words="--json --help $(_qvd_usb_devices)"
            ((COMP_CWORD > 2)) && words="manual ask automatic --json --help"
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
            ;;
        unshare | explain | name | follow) mapfile -t COMPREPLY < <(compgen -W "--json --help $(_qvd_usb_devices)" -- "$current") ;;
        connect) mapfile -t COMPREPLY < <(compgen -W "--session --session-fd --json --help $(_qvd_usb_sessions)" -- "$current") ;;
        pair) mapfile -t COMPREPLY < <(compgen -A hostname -W "--name --json --help" -- "$current") ;;
        forget) mapfile -t COMPREPLY < <(compgen -W "--json --help $(_qvd_usb_sessions)" -- "$current") ;;
        *) mapfile -t COMPREPLY < <(compgen -W "--json --help" -- "$current") ;;
    esac
}

complete -F _qvd_usb qvd-usb
