# What the packages hold, .deb and .rpm alike: each is one role of `make install`, in a folder of its own below $(INTO);
# what roles share and the window move out of them into packages of their own. So a file that is new in
# resources/install/layout.py needs no word here.

SHARED := usr/lib/qvd-usbip/python/qvd_usbip usr/share/man/man7/qvd-usbip-problems.7
WINDOW := usr/lib/qvd-usbip/python/client_gui/ui usr/bin/qvd-usb-picker usr/share/man/man1/qvd-usb-picker.1 \
  usr/share/qvd-usbip/i18n usr/share/applications usr/share/icons usr/share/metainfo
# QVD's own parts read these as well, and an administrator made them: they are copied into place where there are none.
SHARED_SETTINGS := node.conf vma.conf

.PHONY: split
split:
	$(foreach role,client server vma,$(MAKE) install ROLE=$(role) DESTDIR=$(CURDIR)/$(INTO)/qvd-usbip-$(role) \
	  PYTHON=/usr/bin/python3 &&) true
	$(foreach path,$(SHARED),$(call move,$(path),qvd-usbip-client,qvd-usbip-common) &&) true
	cd $(INTO) && rm -r $(foreach role,server vma,$(SHARED:%=qvd-usbip-$(role)/%))
	$(foreach path,$(WINDOW),$(call move,$(path),qvd-usbip-client,qvd-usbip-picker) &&) true
	set -e; for name in $(SHARED_SETTINGS); do for package in server vma; do \
	  from=$(INTO)/qvd-usbip-$$package/etc/qvd/$$name; [ ! -e $$from ] || \
	  install -D -m 0644 -t $(INTO)/qvd-usbip-$$package/usr/share/qvd-usbip/conf $$from && rm -f $$from; done; done
	find $(INTO)/qvd-usbip-*/ -type d -empty -delete

move = mkdir -p $(INTO)/$(3)/$(dir $(1)) && mv $(INTO)/$(2)/$(1) $(INTO)/$(3)/$(1)
