"""PURE: every problem this software reports: code, exit status, sentence, remedy; and the one error that carries it.

Light module: the udev hook and the setuid helper import it.
To add a problem: put it with its theme below, give it a free exit status (10..125); a unit test checks the table.
"""

from qvd_usbip.printable import printable as printable  # noqa: PLC0414  # who reports an error shows other texts too
from qvd_usbip.problem import Problem as Problem  # noqa: PLC0414
from qvd_usbip.problem import filled


class QvdUsbError(Exception):
    """A Problem that happened, with what it happened to. str() is the sentence, ready to be shown."""

    def __init__(self, problem: Problem, /, **context: object) -> None:
        super().__init__(problem, context)
        self.problem = problem
        self.context: dict[str, str] = {name: str(value) for name, value in context.items()}

    def __str__(self) -> str:
        return filled(self.problem.sentence, self.context)

    def __reduce__(self) -> "tuple[object, ...]":
        return _restored, (self.problem.code, self.context)

    def remedy(self) -> str:
        """What the user can do about it, filled and ready to be shown."""
        return filled(self.problem.remedy, self.context)


def _restored(code: str, context: dict[str, str]) -> QvdUsbError:
    return QvdUsbError(problem_of(code), **context)


def report(error: QvdUsbError) -> str:
    """The two lines a command prints on stderr for this error, without a newline at the end."""
    return f"error: {error}\n  {error.remedy()}"


PROBLEMS: dict[str, Problem] = {}


def problem_of(code: str) -> Problem:
    """The problem with this code; one that is not known here (a newer peer's) is `internal`."""
    return PROBLEMS.get(code, INTERNAL)


def _problem(code: str, exit_status: int, sentence: str, remedy: str) -> Problem:
    problem = PROBLEMS[code] = Problem(code, exit_status, sentence, remedy)
    return problem


# A table: one problem is read as three lines.
# fmt: off

# --- what the user or a program wrote -------------------------------------------------------------------------------
USAGE = _problem("usage", 10,
    "{reason}",
    "See --help for what this command takes.")
BUSID_MALFORMED = _problem("busid-malformed", 11,
    "'{value}' is not a USB bus id; one looks like 1-4 or 1-4.2.",
    "Take the bus id from: qvd-usb list")
VIDPID_MALFORMED = _problem("vidpid-malformed", 12,
    "'{value}' is not a vendor and product id; one looks like 0bda:58c2.",
    "Take the id from: qvd-usb list")
SHARE_LIST_MALFORMED = _problem("share-list-malformed", 13,
    "The share list has an entry that cannot be read: '{value}'.",
    "Write entries as vid:pid or vid:pid@serial, separated by commas, in client.usb.share_list.")
SESSION_MALFORMED = _problem("session-malformed", 14,
    "The session description cannot be used: {reason}.",
    'Give one JSON object: {{"v":1,"name":"…","address":"host:port","key":"…","encryption":"none"}}')
DEVICE_UNKNOWN = _problem("device-unknown", 15,
    "No USB device '{device}' is plugged in.",
    "Plug it in, or choose one from: qvd-usb list")
DEVICE_AMBIGUOUS = _problem("device-ambiguous", 16,
    "'{device}' fits more than one USB device: {candidates}.",
    "Name one of them by its bus id.")
DEVICE_NUMBER_MALFORMED = _problem("device-number-malformed", 17,
    "'{value}' is not a device number; one looks like 189:5.",
    "This comes from the kernel or from udev; run the command by hand to see the event.")
HUB_NAME_MALFORMED = _problem("hub-name-malformed", 18,
    "'{value}' is not a virtual hub; one looks like vhci_hcd.3.",
    "Take the name from: qvd-usb-agent hubs")
CONTAINER_NAME_MALFORMED = _problem("container-name-malformed", 19,
    "'{value}' is not a container name.",
    "Use letters, digits, '_', '.' and '-', at most 63, the first a letter or a digit.")

# --- configuration files --------------------------------------------------------------------------------------------
CONFIG_UNREADABLE = _problem("config-unreadable", 20,
    "{path} cannot be read: {reason}.",
    "Make it a plain file that this account may read, or remove it.")
CONFIG_NOT_TEXT = _problem("config-not-text", 21,
    "{path} is not UTF-8 text (byte {offset}).",
    "Save it as UTF-8, or move it away: the defaults then apply.")
CONFIG_TOO_LARGE = _problem("config-too-large", 22,
    "{path} is larger than {limit} bytes, so it was not read.",
    "Check what filled it; move it away and the defaults apply.")
CONFIG_IS_FOLDER = _problem("config-is-folder", 23,
    "{path} is a folder, not a file.",
    "Move the folder away.")
CONFIG_UNWRITABLE = _problem("config-unwritable", 24,
    "{path} could not be saved: {reason}. The file is as it was before.",
    "Check free space and the rights on the folder, then try again.")
SETTINGS_MALFORMED = _problem("settings-malformed", 25,
    "The settings cannot be used: {reason}.",
    "Correct the line in the configuration file.")

# --- client: the device and the setuid helper -----------------------------------------------------------------------
HELPER_MISSING = _problem("helper-missing", 26,
    "The helper {path} is not installed.",
    "Install the qvd-usbip client package; from its sources, as root: make install ROLE=client.")
HELPER_NOT_SETUID = _problem("helper-not-setuid", 27,
    "The helper {path} does not run as root, so it cannot lend a device.",
    "As root: chown root:root {path} && chmod 4755 {path}; the file system must not be mounted nosuid.")
HELPER_REQUEST_MALFORMED = _problem("helper-request-malformed", 28,
    "The helper was asked for something it does not do: {reason}.",
    "Use: bind BUSID, unbind BUSID, connect BUSID FD, lend, or recover.")
NOT_PERMITTED = _problem("not-permitted", 29,
    "This account may not lend USB devices.",
    "Ask an administrator to add it to the group '{group}', then log in again.")
POLICY_UNSAFE = _problem("policy-unsafe", 30,
    "{path} is not trusted: {reason}.",
    "It must belong to root and be writable by root only.")
USBIP_HOST_UNAVAILABLE = _problem("usbip-host-unavailable", 31,
    "The kernel part that lends USB devices (usbip-host) is not available: {reason}.",
    "As root: modprobe usbip-host. If that fails, install the kernel's extra modules.")
DEVICE_IS_HUB = _problem("device-is-hub", 32,
    "{busid} is a USB hub; hubs are not shared.",
    "Share the devices plugged into it.")
DEVICE_BELOW_VHCI = _problem("device-below-vhci", 33,
    "{busid} is itself a device from another computer and cannot be shared on.",
    "Share it from the computer it is plugged into.")
STORAGE_IN_USE = _problem("storage-in-use", 34,
    "{busid} holds a disk that is in use here ({use}).",
    "Eject it (unmount, swapoff) and share it again.")
NETWORK_IN_USE = _problem("network-in-use", 35,
    "{busid} is a network adapter that is up here ({use}).",
    "Disconnect that network first.")
DEVICE_LOCKED = _problem("device-locked", 36,
    "{busid} is locked: {rule}.",
    "Unlock it in the picker, or with qvd-usb share --agree, if the administrator's policy allows that.")
DEVICE_CHANGED = _problem("device-changed", 37,
    "{busid} is no longer the device that was chosen.",
    "Look at the list again and choose it anew.")
DEVICE_GONE = _problem("device-gone", 38,
    "{busid} was unplugged.",
    "Plug it in again.")
NOT_BOUND = _problem("not-bound", 39,
    "Device {busid} is not bound to usbip-host driver, but to {driver}: it cannot be connected.",
    "Bind it first.")
ALREADY_IN_USE = _problem("already-in-use", 40,
    "{busid} is already in use by another session.",
    "Stop sharing it there first.")
BIND_FAILED = _problem("bind-failed", 41,
    "{busid} could not be taken from its driver: {reason}.",
    "Close the programs that use it and try again; the kernel log tells more.")
NO_FREE_SLOT = _problem("no-free-slot", 42,
    "Unable to find an unused USB-IP port: the kernel's 16 places for lent devices are taken.",
    "Stop sharing another device first. A device pulled out while lent keeps its place until its port is lent again.")
EXPORT_FAILED = _problem("export-failed", 43,
    "{busid} could not be handed to the session: {reason}.",
    "Try again; if it stays, unplug the device and plug it in.")
FOREIGN_OWNER = _problem("foreign-owner", 44,
    "{busid} was lent by another account (uid {uid}).",
    "Only that account or root may take it back.")
SHARING_DISABLED = _problem("sharing-disabled", 45,
    "USB sharing is switched off on this computer.",
    "Set {setting} in ~/.qvd/client.conf or /etc/qvd/client.conf.")
NO_SESSION = _problem("no-session", 46,
    "There is no session to share devices with.",
    "Start one from the QVD client, make one with: qvd-usb pair HOST, or give its description with --session -.")
SESSION_EXISTS = _problem("session-exists", 47,
    "A session exists already: {name}.",
    "End that one first; see what it does with: qvd-usb status")
SYSFS_UNREADABLE = _problem("sysfs-unreadable", 48,
    "The kernel's description of {busid} cannot be read: {reason}.",
    "Unplug the device and plug it in again.")
HELPER_DIED = _problem("helper-died", 49,
    "The helper ended before it was done: {reason}.",
    "Try again; if it stays, look at the system log.")
HELPER_UNSAFE = _problem("helper-unsafe", 87,
    "The helper's file {path} cannot be trusted.",
    "It must belong to root, be writable by root only, and be no link.")
RETURN_FAILED = _problem("return-failed", 88,
    "{busid} could not be given back to a local driver (it is on: {driver}).",
    "Unplug the device and plug it in again, or as root run the helper with: recover")
HELPER_SILENT = _problem("helper-silent", 84,
    "The helper did not answer within {seconds} s.",
    "Try again; if it stays, unplug the device and plug it in.")
SHARE_ALL_ON = _problem("share-all-on", 85,
    "Every device is shared, because client.usb.share_all is 1.",
    "Set client.usb.share_all=0 in ~/.qvd/client.conf to choose devices one by one.")
OUTPUT_FAILED = _problem("output-failed", 91,
    "What was to be printed could not be written: {reason}.",
    "Check free space where standard output goes; what the command was asked to do is done.")
DISPLAY_MISSING = _problem("display-missing", 59,
    "There is no screen to open the window on.",
    "Start it in a desktop session, or use the command: qvd-usb list")
QT_MISSING = _problem("qt-missing", 86,
    "The window cannot be opened: {reason}.",
    "Install PySide6 (on Debian: python3-pyside6.qtwidgets, python3-pyside6.qtsvg), or use the command: qvd-usb list")
AUTOSTART_UNAVAILABLE = _problem("autostart-unavailable", 113,
    "The picker cannot be started with the desktop: {reason}.",
    "Install the package qvd-usbip-picker; from its sources, as root: make install ROLE=client.")

# --- slave channel --------------------------------------------------------------------------------------------------
SLAVE_UNREACHABLE = _problem("slave-unreachable", 50,
    "The session at {address} cannot be reached: {reason}.",
    "Check that the desktop is running and the address is right.")
SLAVE_REFUSED_KEY = _problem("slave-refused-key", 51,
    "The session refused its key.",
    "Reconnect the session: the key changes with each one.")
SLAVE_KEY_MISSING = _problem("slave-key-missing", 52,
    "The session needs a key and none was given.",
    "Reconnect the session from the QVD client; on the image, check internal.vma.slave.config.")
SLAVE_KEY_UNSAFE = _problem("slave-key-unsafe", 118,
    "Others than root and its owner may read or change the session's key, so it is not used.",
    "In the image: write a new key into the file of internal.vma.slave.config, root's own and mode 600.")
SLAVE_PROTOCOL = _problem("slave-protocol", 53,
    "The other end of the slave channel does not speak our protocol: {reason}.",
    "Check that the address is the session's slave channel and that its image is up to date.")
SLAVE_SILENT = _problem("slave-silent", 54,
    "The other end of the slave channel said nothing for {seconds} s.",
    "Check the network, then try again.")
SLAVE_LIMIT = _problem("slave-limit", 55,
    "The session takes no more devices at the moment.",
    "Stop sharing another device first, or try again in a moment.")
PLAINTEXT_REFUSED = _problem("plaintext-refused", 56,
    "The session at {address} is not encrypted and not on this computer.",
    "Use an encrypted session, or accept the risk with client.usb.allow_plaintext=1.")
PEER_GONE = _problem("peer-gone", 57,
    "The other end closed the connection.",
    "Try again; if it stays, look at the other end's log.")
ENCRYPTION_UNAVAILABLE = _problem("encryption-unavailable", 58,
    "The session '{name}' asks for TLS, and says nothing to recognise its host by.",
    "Pair this computer with the host: qvd-usb pair HOST")
HOST_CHANGED = _problem("host-changed", 110,
    "The host at {address} is not the one that this computer was paired with.",
    "Somebody may be in between. If the host was set up anew: qvd-usb forget the session, then qvd-usb pair HOST")
NOT_PAIRED = _problem("not-paired", 115,
    "The host does not know this computer: it was not paired with it, or is not any more.",
    "Pair them again: on the host qvd-usb-agent pair CONTAINER, here qvd-usb pair HOST")
ENCRYPTION_FAILED = _problem("encryption-failed", 111,
    "No encrypted connection to {address} came about: {reason}.",
    "Check that the host still knows this computer (there: qvd-usb-agent clients), or pair anew: qvd-usb pair HOST")

# --- server: hubs, containers, rights -------------------------------------------------------------------------------
VHCI_MISSING = _problem("vhci-missing", 60,
    "The kernel part that receives USB devices (vhci_hcd) is not loaded.",
    "As root: modprobe vhci-hcd. If that fails, install the kernel's extra modules.")
VHCI_NO_HUBS = _problem("vhci-no-hubs", 61,
    "vhci_hcd is loaded but has no hub: the USB bus numbers are used up.",
    "Unload other virtual USB controllers, then: modprobe -r vhci_hcd && modprobe vhci_hcd")
NO_FREE_HUB = _problem("no-free-hub", 62,
    "No virtual hub is free for container '{container}'; it has no USB.",
    "See who has them with: qvd-usb-agent hubs. Stop a container or release a hub.")
NO_FREE_PORT = _problem("no-free-port", 63,
    "Unable to find an unused USB-IP port on {hub}.",
    "Stop sharing another device in this session first.")
HUB_QUARANTINED = _problem("hub-quarantined", 64,
    "{hub} still has a device attached and is not lent again.",
    "See it with: qvd-usb-agent hubs; it is freed when the port is empty.")
CONTAINER_UNKNOWN = _problem("container-unknown", 65,
    "There is no container '{container}' here.",
    "List them with: lxc-ls")
LXC_CONFIG_MISSING = _problem("lxc-config-missing", 66,
    "Container '{container}' is not set up for USB: {reason}.",
    "Append to its configuration the lines of: qvd-usb-agent lxc-config {container}")
USERNS_UNMAPPED = _problem("userns-unmapped", 97,
    "The ids of container '{container}' are not clear: {reason}.",
    "Give it ranges first: lxc.idmap = u 0 100000 65536 and lxc.idmap = g 0 100000 65536, another range for each.")
HOST_PROGRAM = _problem("host-program", 95,
    "Programs of this host would take hold of devices that are lent to containers: {programs}.",
    "Install the server package again (make install ROLE=server): its udev rules keep them off.")
ATTACH_FAILED = _problem("attach-failed", 67,
    "The kernel did not attach the device to {hub}: {reason}.",
    "Try again; the kernel log on the server tells more.")
DEVICE_REFUSED = _problem("device-refused", 68,
    "The server's policy refused the device: {rule}.",
    "Ask the administrator; the rule that decided is in the agent's log.")
ISOCHRONOUS_UNSAFE = _problem("isochronous-unsafe", 92,
    "The server refused the device: it has isochronous endpoints (sound, video), and this server's kernel is not safe "
    "with those of a stranger.",
    "Update the server's kernel; or accept the risk there, as root: "
    "qvd-usb-agent config set vm.lxc.usb.isochronous allow, then restart the agent.")
DEVICE_TIMEOUT = _problem("device-timeout", 69,
    "The device was attached but did not answer within {seconds} s.",
    "Unplug it, plug it in and share it again.")
RIGHTS_FAILED = _problem("rights-failed", 70,
    "The right to {device} for container '{container}' could not be set: {reason}.",
    "Nothing was authorised. Run: qvd-usb-agent check")
NUMBER_EXPOSED = _problem("number-exposed", 117,
    "The server took the device back: it got its number in the moment in which another container lost that number, and "
    "could have been open there.",
    "It is tried again by itself; else share it again.")
AGENT_UNREACHABLE = _problem("agent-unreachable", 71,
    "The agent qvd-usb-agent does not answer: {reason}.",
    "As root: systemctl status qvd-usb-agent; systemctl start qvd-usb-agent")
AGENT_RUNNING = _problem("agent-running", 72,
    "Another qvd-usb-agent is running here.",
    "Stop it first: systemctl stop qvd-usb-agent")
AGENT_NEEDS_ROOT = _problem("agent-needs-root", 73,
    "qvd-usb-agent has to be run by root.",
    "Start it with: systemctl start qvd-usb-agent")
CONTROL_REFUSED = _problem("control-refused", 93,
    "User {uid} may look at what qvd-usb-agent does, but not change it.",
    "Do it as root.")
BROKER_MISSING = _problem("broker-missing", 74,
    "This container has no way to the USB agent: {reason}.",
    "On the server: qvd-usb-agent lxc-config NAME, then restart the container.")
BROKER_PROTOCOL = _problem("broker-protocol", 75,
    "A message between container and agent cannot be used: {reason}.",
    "Check that the image and the server have the same version of qvd-usbip.")
BPF_UNAVAILABLE = _problem("bpf-unavailable", 76,
    "Device rights cannot be enforced here: {reason}.",
    "A kernel with CONFIG_CGROUP_BPF, cgroup v2 and a mounted /sys/fs/bpf is needed.")
BACKEND_UNAVAILABLE = _problem("backend-unavailable", 96,
    "The back end '{backend}' for device rights cannot work on this server: {reason}.",
    "See what it has: qvd-usb-agent check; then take another one: qvd-usb-agent lxc-config --backend map NAME")
VHCI_STATUS_MALFORMED = _problem("vhci-status-malformed", 77,
    "The kernel's port table cannot be read: {reason}.",
    "Please report the kernel version and the content of vhci_hcd.0/status.")
HUBS_DISABLED = _problem("hubs-disabled", 78,
    "Container '{container}' has no USB: vm.lxc.use_vhci_hubs was not 1 on this server when it started.",
    "As root: qvd-usb-agent config set key=vm.lxc.use_vhci_hubs,value=1; then start the container again.")
CONTAINER_BUSY = _problem("container-busy", 79,
    "Container '{container}' is {reason}, so its USB cannot be prepared anew.",
    "Wait, or stop it first: lxc-stop -n {container}")
DEVICE_NOT_ATTACHED = _problem("device-not-attached", 98,
    "Container '{container}' has no device {busid}.",
    "See what it has with: qvd-usb-agent status")

# --- image: nodes ---------------------------------------------------------------------------------------------------
NODE_REFUSED = _problem("node-refused", 80,
    "The node {node} was not made: {reason}.",
    "Nothing was changed. Look at the event with: udevadm monitor --property")
NODE_KEPT = _problem("node-kept", 89,
    "The node {node} was not removed: {reason}.",
    "If it is of no use any more, remove it by hand.")
NODE_UNUSABLE = _problem("node-unusable", 90,
    "The device is in the desktop, but its user may not open it.",
    "In the image: see createdevice.acl.* in /etc/qvd/vma.conf, and whether the user is in that group.")
NODE_UNSEEN = _problem("node-unseen", 114,
    "The device is in the desktop; its host cannot see that the user may open it.",
    "Try whether it works there. On the host, qvd-usb-agent status says why it cannot be seen.")
GROUP_UNKNOWN = _problem("group-unknown", 81,
    "There is no group '{group}' in this image.",
    "Create it, or set createdevice.acl.group in /etc/qvd/vma.conf.")
ACL_UNSUPPORTED = _problem("acl-unsupported", 82,
    "The file system of {node} keeps no access lists; the node stays with root only.",
    "Mount it with acl support, or set createdevice.acl.enable=0.")
UEVENT_MALFORMED = _problem("uevent-malformed", 83,
    "A device event cannot be used: {reason}.",
    "Look at the events with: udevadm monitor --property")

# --- pairing --------------------------------------------------------------------------------------------------------
PAIRING_CLOSED = _problem("pairing-closed", 100,
    "The host at {address} takes no new client at the moment.",
    "On the host, as root: qvd-usb-agent pair CONTAINER; then try again within five minutes.")
PAIRING_PROTOCOL = _problem("pairing-protocol", 101,
    "What the other side says while pairing cannot be used: {reason}.",
    "Nothing was stored. Check that both sides have the same version of qvd-usbip, then begin anew on both.")
PAIRING_ENDED = _problem("pairing-ended", 102,
    "The pairing was not completed: {reason}.",
    "Nothing was stored. Begin anew, first on the host: qvd-usb-agent pair CONTAINER")
PAIRING_CODE_WRONG = _problem("pairing-code-wrong", 103,
    "Client and host do not show the same code.",
    "Nothing was stored. Somebody may be between them: see that the address is the host's, then begin anew on both.")
HOST_UNREACHABLE = _problem("host-unreachable", 116,
    "The host {address} cannot be reached: {reason}.",
    "Check its name. Whether it lets clients in at all is told there, as root, by: qvd-usb-agent pair CONTAINER")
CLIENT_UNKNOWN = _problem("client-unknown", 104,
    "No client '{name}' is paired with this host.",
    "See who is: qvd-usb-agent clients")
SESSION_UNKNOWN = _problem("session-unknown", 105,
    "There is no stored session '{name}'.",
    "See which there are: qvd-usb sessions. Make one with: qvd-usb pair HOST")
IDENTITY_UNUSABLE = _problem("identity-unusable", 106,
    "The key and certificate in {path} cannot be used: {reason}.",
    "Move that folder away and pair anew: new ones are made.")
CLIENT_RECORD_BROKEN = _problem("client-record-broken", 107,
    "{path} is not used as the record of a paired client: {reason}.",
    "Remove the file; pair that client anew if it is to have access.")
KEYS_UNAVAILABLE = _problem("keys-unavailable", 108,
    "Keys and certificates cannot be made here: {reason}.",
    "Install the library: apt install python3-cryptography")
ENDPOINT_OFF = _problem("endpoint-off", 109,
    "This host has no endpoint that clients could reach.",
    "As root: qvd-usb-agent config set vm.usb.endpoint.listen 0.0.0.0:9020; systemctl restart qvd-usb-agent")
ENDPOINT_UNAVAILABLE = _problem("endpoint-unavailable", 112,
    "The endpoint cannot listen on {address}: {reason}.",
    "Change vm.usb.endpoint.listen in /etc/qvd/node.conf, then: systemctl restart qvd-usb-endpoint")

INTERNAL = _problem("internal", 99,
    "This should not have happened: {reason}.",
    "Please report it with the log.")
