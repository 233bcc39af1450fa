"""Each sentence of the QVD 4.2 guide has tests that hold us to it; where we differ, a row of a table says why."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest


class Claim(NamedTuple):
    """What the guide says in one of its sections, in words of our own.

    Args:
        tests: functions anywhere below tests/ that show it.
        rows: how rows of "Where we differ" in ARCHITECTURE.md begin.
    """

    section: str
    says: str
    tests: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()


HELPER_LENDS = "test_1_2_the_setuid_helper_loads_usbip_host_by_itself_and_sets_up_sharing_for_a_user"
SELECTION = "test_1_3_devices_are_listed_and_the_selection_is_written_as_vid_pid_serial_comma_separated"
STOCK_CLIENT = "test_2_2_the_client_works_with_the_standard_kernel_of_its_distribution"
LIMIT = "test_2_2_the_number_of_entries_limits_the_containers_and_check_says_it"
ONE_HUB = "test_2_2_the_only_hub_of_an_unpatched_kernel_is_lent_by_ports_which_become_free_again"
LAYOUTS = "test_every_observation_has_a_layout_and_hub_0_is_lent_only_where_its_files_rule_no_other_hub"
NO_MODULE = "test_2_2_if_the_folder_is_missing_entirely_the_module_is_not_loaded"
MODULE_NEEDED = "test_2_1_the_module_is_needed_and_with_one_line_a_container_has_usb_again"
INSTALLED = "test_2_6_by_the_guides_line_the_module_is_loaded_and_by_ours_a_container_has_a_hub_or_starts_without_usb"
RIGHTS = "test_2_3_a_device_is_plugged_into_the_host_and_its_rights_come_to_one_container_and_go_with_it"
BY_EVENTS = "test_2_3_so_do_those_of_a_keyboard_and_of_a_sound_device_and_the_kernels_events_alone_bring_them"
CONFINED = "test_2_4_apparmor_confines_the_container_and_still_lets_it_read_its_hub"
BLOCKED = "test_2_4_by_default_apparmor_blocks_the_hub_for_writing"
NOBODY_ELSE = "test_2_5_a_device_is_its_containers_and_another_one_does_not_get_at_it_even_with_root"
NO_WAY = "test_none_of_the_ways_is_open_to_a_process_of_the_container_and_to_lxc_attach"
NOT_MOUNTED = "test_2_5_nothing_on_the_host_mounts_or_examines_a_block_device_and_the_user_cannot_mount_it"
NO_SERVICE = (
    "test_2_5_no_service_of_the_host_mounts_activates_dials_or_configures_what_was_lent_nor_when_the_medium_changes"
)
EXAMPLE = "test_3_2_dev_is_a_tmpfs_and_the_example_configuration_decides_who_may_open_a_device"
NOT_BY_ITSELF = "test_3_2_a_device_appears_on_the_host_but_in_no_container_by_itself_and_is_found_when_udevd_comes"
PACKAGES = "test_installed_it_works_upgraded_the_device_stays_and_purged_nothing_is_left"
IMAGE = "test_3_1_what_it_needs_is_there_and_what_has_to_be_adjusted_the_image_says"
NODES = "test_nodes_appear_for_the_group_alone_and_go_with_the_device"

PATCHED = "§2.1, §2.2: a patched kernel"
NAME = "test_2_6_the_name_that_the_guide_installs_is_the_client_s_alone_and_the_server_needs_no_package_of_it"
QA4 = "§2.6, §2.7: `qa4 config set`"
SERVER_PACKAGE = "§2.6, §2.7: `qvd-client-slaveclient-usbip`"

CLAIMS = (
    Claim("0", "there is USB/IP for Linux alone", ("test_it_is_for_linux_alone",)),
    Claim("1.1", "the client's kernel has USB/IP", ("test_usbip_host_that_cannot_be_loaded",)),
    Claim("1.1", "usbip_host is there and loaded", ("test_usbip_host_that_cannot_be_loaded", HELPER_LENDS)),
    Claim("1.1", "the helper is installed and setuid",
          ("test_a_helper_without_setuid_or_none", "test_each_installed_file_is_in_exactly_one_package_with_its_mode"),
          ("§1.1: the helper is a setuid binary",)),
    Claim("1.1", "nothing else has to be done there", (HELPER_LENDS,), ("§1.1: no special steps",)),
    Claim("1.1", "kernels of today and of the usual distributions bring what it takes", (STOCK_CLIENT,)),
    Claim("1.2", "only root may do it, so the helper does it for the user", (HELPER_LENDS,)),
    Claim("1.2", "what stores data is open to the remote side, which may change and delete it: caution",
          ("test_1_2_caution_when_a_device_can_store_data", NOT_MOUNTED)),
    Claim("1.2", "the helper is setuid, tries to load usbip_host, and sets sharing up", (HELPER_LENDS,)),
    Claim("1.3", "the client lists devices and writes what is selected, so nobody has to by hand", (SELECTION,)),
    Claim("1.3", "the list is client.usb.share_list", (SELECTION,)),
    Claim("1.3", "an entry is vendor:product@serial", (SELECTION, "test_the_list_of_the_guide"),
          ("§1.3: a serial number stands in the list",)),
    Claim("1.3", "entries are separated by commas", (SELECTION, "test_the_list_of_the_guide")),
    Claim("2.1", "the server's kernel has QVD's patches", (LAYOUTS,), (PATCHED,)),
    Claim("2.1", "vhci_hcd is there and loaded", (MODULE_NEEDED, NO_MODULE)),
    Claim("2.1", "hubs are switched on in the configuration", (INSTALLED,)),
    Claim("2.2", "the usual USB/IP is not enough for containers, so there are patches, and kernels with them",
          (LIMIT, ONE_HUB), (PATCHED,)),
    Claim("2.2", "with them there are several hubs, and each container has its own", (LIMIT,),
          ("§2.2: a hub is given by mounting it",)),
    Claim("2.2", "which keeps containers apart",
          ("test_two_tenants_on_one_hub_have_each_their_own_ports_nodes_and_rights", NOBODY_ELSE)),
    Claim("2.2", "the client needs no patch", (STOCK_CLIENT,)),
    Claim("2.2", "the driver's folder has a link for each hub", (LIMIT,), (PATCHED,)),
    Claim("2.2", "each is given to a container, so their number is a limit", (LIMIT,), ("§2.2: as many containers",)),
    Claim("2.2", "without the patches there is hub 0 alone", (ONE_HUB,), (PATCHED,)),
    Claim("2.2", "without the folder the module is not loaded", (NO_MODULE,)),
    Claim("2.3", "what is attached is attached to the host", (RIGHTS,)),
    Claim("2.3", "qvd-hkd hears of it from udev", (BY_EVENTS,), ("§2.3: qvd-hkd monitors",)),
    Claim("2.3", "finds the container it is of, and gives it the right by cgroups",
          (RIGHTS, BY_EVENTS, "test_the_map_and_lxcs_own_list_keep_the_same_promises",
           "test_on_a_host_with_cgroup_v1_the_files_keep_them_too"),
          ("§2.3: qvd-hkd adjusts", "§2.3: rights follow")),
    Claim("2.3", "and takes it when the device goes", (RIGHTS, BY_EVENTS)),
    Claim("2.4", "LXC confines containers by AppArmor", (CONFINED,)),
    Claim("2.4", "which by default shuts the folder of the hubs", (BLOCKED,), ("§2.4: AppArmor blocks",)),
    Claim("2.4", "and QVD's configuration opens it",
          (CONFINED, "test_an_image_that_attaches_by_itself_reaches_attach_and_nothing_else"),
          ("§2.4: AppArmor blocks",)),
    Claim("2.5", "all containers have one kernel, and what is lent is plugged into the host", (RIGHTS,)),
    Claim("2.5", "containers are kept apart as far as possible",
          (NO_WAY, "test_none_of_the_ways_is_open_while_the_container_starts")),
    Claim("2.5", "no other container gets at a device, with root either", (NOBODY_ELSE, NO_WAY)),
    Claim("2.5", "no program of the host may mount or examine lent disks, for it would disturb or destroy them",
          (NO_SERVICE, NOT_MOUNTED, "test_each_lack_has_its_remedy")),
    Claim("2.5", "any device may be an attack on the kernel",
          ("test_2_5_the_host_is_told_which_known_defects_of_its_kernel_a_malicious_user_could_try",)),
    Claim("2.5", "crafted file systems above all; but a user who is not root mounts none", (NOT_MOUNTED,)),
    Claim("2.6", "Ubuntu: a package is installed on the server", (NAME,), (SERVER_PACKAGE,)),
    Claim("2.6", "and a kernel with the patches", (INSTALLED,), (PATCHED,)),
    Claim("2.6", "qa4 switches hubs on", (INSTALLED,), (QA4,)),
    Claim("2.6", "a file has the module loaded at each boot", (INSTALLED, PACKAGES)),
    Claim("2.7", "CentOS: the same, from packages of its own",
          ("test_2_7_the_name_that_the_guide_installs_is_there_and_the_server_s_package_has_the_module_loaded",),
          ("§2.7: installation on CentOS", SERVER_PACKAGE, QA4, PATCHED)),
    Claim("3.1", "the image's package has all that is needed; something may have to be adjusted", (IMAGE, PACKAGES)),
    Claim("3.2", "elsewhere kernel and udev make, open and link nodes together; in a container it is not so",
          (NOT_BY_ITSELF,)),
    Claim("3.2", "its /dev is a tmpfs, in which no node appears by itself, though it does on the host",
          (EXAMPLE, NOT_BY_ITSELF)),
    Claim("3.2", "qvd-create-device makes them, called by udev", (NODES, "test_a_disk_is_a_block_node_of_the_group")),
    Claim("3.2", "and has an access list on them for the user", (NODES,), ("§3.2: ACL on the device file",)),
    Claim("3.2", "createdevice.acl.enable says whether", (EXAMPLE,)),
    Claim("3.2", "createdevice.acl.group says for whom", (EXAMPLE,), ("§3.2: `createdevice.acl.group`",)),
    Claim("3.2", "createdevice.acl.permissions says what they may", (EXAMPLE,)),
    Claim("3.2", "the user has to be in that group", (EXAMPLE, NODES)),
    Claim("3.2", "which vma.user.default.groups sees to", (IMAGE,), ("§3.2: QVD's VMA makes the user's account",)),
    Claim("3.2", "an example of these settings", (EXAMPLE,)),
)  # fmt: skip


def functions(repository: Path) -> Iterator[str]:
    """The name of each test that is written down."""
    for file in (repository / "tests").rglob("test_*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = (each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))
        yield from (name for name in names if name.startswith("test_"))


@pytest.fixture(scope="module")
def written(repository: Path) -> frozenset[str]:
    return frozenset(functions(repository))


@pytest.fixture(scope="module")
def differences(repository: Path) -> list[str]:
    """What the guide says in each row of the table."""
    text = (repository / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.partition("\n## Where we differ")[2].partition("\n## ")[0]
    return re.findall(r"^\| (§.*?) \|", table, re.MULTILINE)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.section} {claim.says}")
def test_each_sentence_has_tests_that_are_there_and_rows_that_stand(
    claim: Claim, written: frozenset[str], differences: list[str]
) -> None:
    assert claim.tests
    assert not set(claim.tests) - written
    for row in claim.rows:
        assert [each.startswith(row) for each in differences].count(True) == 1, row


def test_every_row_is_about_a_sentence_and_every_test_that_is_named_for_one_is_in_the_list(
    written: frozenset[str], differences: list[str]
) -> None:
    begun = tuple(row for claim in CLAIMS for row in claim.rows)
    assert [row for row in differences if not row.startswith(begun)] == []
    named = {name for name in written if re.match(r"test_[1-3]_[1-7]_", name)}
    assert named - {name for claim in CLAIMS for name in claim.tests} == set()


def test_every_section_is_there_in_the_guide_s_order() -> None:
    sections = list(dict.fromkeys(claim.section for claim in CLAIMS))
    assert sections == ["0", *(f"{part}.{n}" for part, last in ((1, 3), (2, 7), (3, 2)) for n in range(1, last + 1))]
