# fish completion for qvd-usb-image

complete -c qvd-usb-image -f
complete -c qvd-usb-image -n __fish_use_subcommand -a check -d 'say what this image has and lacks for USB devices'
complete -c qvd-usb-image -n '__fish_seen_subcommand_from check' -a '(__fish_complete_users)'
complete -c qvd-usb-image -n '__fish_seen_subcommand_from check' -l root -r -a '(__fish_complete_directories)' -d 'an image in a folder'
complete -c qvd-usb-image -l json -d 'print JSON'
complete -c qvd-usb-image -l help -d 'explain the command'
