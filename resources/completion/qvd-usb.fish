# fish completion for qvd-usb

function __qvd_usb_devices
    qvd-usb list 2>/dev/null | awk 'NR > 1 && $1 != "-" { print $1 }'
end

function __qvd_usb_sessions
    qvd-usb sessions 2>/dev/null | awk '$1 != "no" { print $1 }'
end

complete -c qvd-usb -f
complete -c qvd-usb -n __fish_use_subcommand -a list -d 'show the devices that are plugged in or remembered'
complete -c qvd-usb -n __fish_use_subcommand -a share -d 'tick devices'
complete -c qvd-usb -n __fish_use_subcommand -a unshare -d 'untick devices'
complete -c qvd-usb -n __fish_use_subcommand -a mode -d 'show or choose when a ticked device is shared'
complete -c qvd-usb -n __fish_use_subcommand -a name -d 'show or give a device\'s nickname'
complete -c qvd-usb -n __fish_use_subcommand -a follow -d 'show or choose for how long its port is followed'
complete -c qvd-usb -n __fish_use_subcommand -a connect -d 'share the ticked devices with a session'
complete -c qvd-usb -n __fish_use_subcommand -a pair -d 'be paired with a host'
complete -c qvd-usb -n __fish_use_subcommand -a sessions -d 'show the stored sessions'
complete -c qvd-usb -n __fish_use_subcommand -a forget -d 'remove a stored session'
complete -c qvd-usb -n __fish_use_subcommand -a status -d 'show what the running session does'
complete -c qvd-usb -n __fish_use_subcommand -a watch -d 'print each change as it happens'
complete -c qvd-usb -n __fish_use_subcommand -a explain -d 'tell which rule decides about a device'
complete -c qvd-usb -n __fish_use_subcommand -a policy -d 'show all rules'
complete -c qvd-usb -n __fish_use_subcommand -a doctor -d 'look for what this computer lacks'
complete -c qvd-usb -n __fish_use_subcommand -l version -d 'print the version'
complete -c qvd-usb -l json -d 'print JSON'
complete -c qvd-usb -l help -d 'explain the command'
complete -c qvd-usb -n '__fish_seen_subcommand_from share' -l agree -d 'say yes to what would be asked'
complete -c qvd-usb -n '__fish_seen_subcommand_from mode; and test (count (commandline -opc)) -gt 2' -a 'manual ask automatic'
complete -c qvd-usb -n '__fish_seen_subcommand_from mode name follow; and test (count (commandline -opc)) -eq 2' -a '(__qvd_usb_devices)'
complete -c qvd-usb -n '__fish_seen_subcommand_from share unshare explain' -a '(__qvd_usb_devices)'
complete -c qvd-usb -n '__fish_seen_subcommand_from connect forget' -a '(__qvd_usb_sessions)'
complete -c qvd-usb -n '__fish_seen_subcommand_from pair' -a '(__fish_print_hostnames)'
complete -c qvd-usb -n '__fish_seen_subcommand_from pair' -l name -x -d 'what to call the session'
complete -c qvd-usb -n '__fish_seen_subcommand_from connect' -l session -a - -d 'read the session from standard input'
complete -c qvd-usb -n '__fish_seen_subcommand_from connect' -l session-fd -x -d 'read it from a descriptor'
