SUMMARY = "The update agent of an embedded product"
DESCRIPTION = "Fetches signed updates, installs them into the spare one of two slots, and falls back when they do not work."
SECTION = "base"
LICENSE = "Apache-2.0 | MIT"
LIC_FILES_CHKSUM = "\
    file://LICENSE-APACHE;md5=22a53954e4e0ec258dfce4391e905dac \
    file://LICENSE-MIT;md5=f7f05e61fb9a10559afb191b62d7bf64 \
"

# Where you keep this repository, and the commit that you ship; in your distribution's configuration.
TENURE_SRC ?= "git:///srv/git/tenure.git;protocol=file;branch=main"
TENURE_REV ?= "${AUTOREV}"
SRC_URI = "${TENURE_SRC}"
SRCREV = "${TENURE_REV}"

inherit cargo cargo-update-recipe-crates systemd useradd

# From Cargo.lock, once for each version: bitbake -c update_crates tenure
require ${BPN}-crates.inc

# Optimised for size; a panic aborts.
BUILD_MODE = "--profile device --package tenure-agent"
BUILD_DIR = "device"

do_install() {
    install -D -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/tenure ${D}${bindir}/tenure
    for unit in tenure-fetchd.service tenure-installd.service tenure-installd.socket \
                tenure-programs.socket tenure-programs@.service tenure-tell.service; do
        install -D -m 0644 ${S}/systemd/$unit ${D}${systemd_system_unitdir}/$unit
    done
    install -D -m 0755 ${S}/systemd/tenure-cage-generator \
        ${D}${systemd_unitdir}/system-generators/tenure-cage-generator
    install -D -m 0644 ${S}/systemd/tenure.preset ${D}${systemd_unitdir}/system-preset/80-tenure.preset
    install -D -m 0644 ${S}/systemd/sysusers.d/tenure.conf ${D}${nonarch_libdir}/sysusers.d/tenure.conf
    install -D -m 0644 ${S}/systemd/io.tenure.Agent1.conf ${D}${datadir}/dbus-1/system.d/io.tenure.Agent1.conf
    install -D -m 0644 ${S}/systemd/tmpfiles.d/tenure.conf ${D}${nonarch_libdir}/tmpfiles.d/tenure.conf
}

USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --user-group --no-create-home --home-dir ${localstatedir}/lib/tenure --shell /sbin/nologin tenure"

SYSTEMD_SERVICE:${PN} = "tenure-fetchd.service tenure-installd.service tenure-installd.socket tenure-programs.socket tenure-tell.service"
FILES:${PN} += "${systemd_unitdir} ${nonarch_libdir}/sysusers.d ${nonarch_libdir}/tmpfiles.d ${datadir}/dbus-1"

# What is yours: the configuration and the root of trust.
RRECOMMENDS:${PN} = "tenure-config"
