# For another kernel recipe: copy these lines to an append of its own name.
FILESEXTRAPATHS:prepend := "${THISDIR}/files:"
SRC_URI += "file://tenure.cfg"
