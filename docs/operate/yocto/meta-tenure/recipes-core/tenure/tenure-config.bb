SUMMARY = "What the update agent of this product is told"
LICENSE = "CLOSED"

# Put the three files into a folder of your layer, and name it in tenure-config.bbappend:
#   FILESEXTRAPATHS:prepend := "${THISDIR}/files:"
# root.json and backstop.json are of `tenurectl model image`.
SRC_URI = "file://agent.toml file://root.json file://backstop.json"
S = "${UNPACKDIR}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0644 ${S}/agent.toml ${D}${sysconfdir}/tenure/agent.toml
    install -D -m 0644 ${S}/root.json ${D}${nonarch_libdir}/tenure/root.json
    install -D -m 0644 ${S}/backstop.json ${D}${nonarch_libdir}/tenure/backstop.json
}

FILES:${PN} += "${nonarch_libdir}/tenure"
