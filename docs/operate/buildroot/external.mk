include $(sort $(wildcard $(BR2_EXTERNAL_TENURE_PATH)/package/*/*.mk))
