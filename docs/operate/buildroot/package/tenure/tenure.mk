################################################################################
#
# tenure
#
################################################################################

TENURE_VERSION = $(call qstrip,$(BR2_PACKAGE_TENURE_VERSION))
TENURE_SITE = $(call qstrip,$(BR2_PACKAGE_TENURE_SITE))
TENURE_SITE_METHOD = git
TENURE_LICENSE = Apache-2.0 or MIT
TENURE_LICENSE_FILES = LICENSE-APACHE LICENSE-MIT
TENURE_CONFIG_DIR = $(call qstrip,$(BR2_PACKAGE_TENURE_CONFIG_DIR))

# Optimised for size; a panic aborts.
define TENURE_BUILD_CMDS
	cd $(@D) && \
	$(TARGET_MAKE_ENV) $(TARGET_CONFIGURE_OPTS) $(PKG_CARGO_ENV) $(TENURE_CARGO_ENV) \
		cargo build --offline --locked --profile device --package tenure-agent
endef

define TENURE_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/target/$(RUSTC_TARGET_NAME)/device/tenure $(TARGET_DIR)/usr/bin/tenure
	$(if $(TENURE_CONFIG_DIR),$(TENURE_INSTALL_CONFIG))
endef

define TENURE_INSTALL_CONFIG
	$(INSTALL) -D -m 0644 $(TENURE_CONFIG_DIR)/agent.toml $(TARGET_DIR)/etc/tenure/agent.toml
	$(INSTALL) -D -m 0644 $(TENURE_CONFIG_DIR)/root.json $(TARGET_DIR)/usr/lib/tenure/root.json
	$(INSTALL) -D -m 0644 $(TENURE_CONFIG_DIR)/backstop.json $(TARGET_DIR)/usr/lib/tenure/backstop.json
endef

TENURE_UNITS = tenure-fetchd.service tenure-installd.service tenure-installd.socket \
	tenure-programs.socket tenure-programs@.service tenure-tell.service

define TENURE_INSTALL_INIT_SYSTEMD
	$(foreach unit,$(TENURE_UNITS),\
		$(INSTALL) -D -m 0644 $(@D)/systemd/$(unit) $(TARGET_DIR)/usr/lib/systemd/system/$(unit)$(sep))
	$(INSTALL) -D -m 0755 $(@D)/systemd/tenure-cage-generator \
		$(TARGET_DIR)/usr/lib/systemd/system-generators/tenure-cage-generator
	$(INSTALL) -D -m 0644 $(@D)/systemd/tenure.preset \
		$(TARGET_DIR)/usr/lib/systemd/system-preset/80-tenure.preset
	$(INSTALL) -D -m 0644 $(@D)/systemd/sysusers.d/tenure.conf $(TARGET_DIR)/usr/lib/sysusers.d/tenure.conf
	$(INSTALL) -D -m 0644 $(@D)/systemd/io.tenure.Agent1.conf \
		$(TARGET_DIR)/usr/share/dbus-1/system.d/io.tenure.Agent1.conf
	$(INSTALL) -D -m 0644 $(@D)/systemd/tmpfiles.d/tenure.conf $(TARGET_DIR)/usr/lib/tmpfiles.d/tenure.conf
endef

# Without systemd: one process that starts and supervises both. With fetch_user = "tenure".
define TENURE_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(TENURE_PKGDIR)/S90tenure $(TARGET_DIR)/etc/init.d/S90tenure
endef

define TENURE_USERS
	tenure -1 tenure -1 * /var/lib/tenure - - Tenure update agent
endef

define TENURE_LINUX_CONFIG_FIXUPS
	$(call KCONFIG_ENABLE_OPT,CONFIG_SECCOMP)
	$(call KCONFIG_ENABLE_OPT,CONFIG_SECCOMP_FILTER)
	$(call KCONFIG_ENABLE_OPT,CONFIG_SECURITY)
	$(call KCONFIG_ENABLE_OPT,CONFIG_SECURITY_PATH)
	$(call KCONFIG_ENABLE_OPT,CONFIG_SECURITY_LANDLOCK)
	$(call KCONFIG_SET_OPT,CONFIG_LSM,"landlock$(comma)lockdown$(comma)yama$(comma)bpf")
	$(call KCONFIG_ENABLE_OPT,CONFIG_NAMESPACES)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NET_NS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IPC_NS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_UTS_NS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_CGROUPS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_MEMCG)
	$(call KCONFIG_ENABLE_OPT,CONFIG_CGROUP_PIDS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_BPF_SYSCALL)
	$(call KCONFIG_ENABLE_OPT,CONFIG_CGROUP_BPF)
	$(call KCONFIG_ENABLE_OPT,CONFIG_WATCHDOG)
	$(call KCONFIG_ENABLE_OPT,CONFIG_WATCHDOG_HANDLE_BOOT_ENABLED)
	$(call KCONFIG_ENABLE_OPT,CONFIG_WATCHDOG_NOWAYOUT)
endef

$(eval $(cargo-package))
