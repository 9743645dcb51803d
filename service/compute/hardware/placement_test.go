package hardware

import (
	"fmt"
	"strings"
	"testing"
)

// TestDeviceNames: what operators call devices, as Placement has it.
func TestDeviceNames(t *testing.T) {
	for name, want := range map[string]string{
		"": "CUSTOM_PCI_10DE_1DB4", "pgpu": "PGPU", "CUSTOM_GPU": "CUSTOM_GPU", "custom_gpu": "CUSTOM_GPU", "my gpu--1": "CUSTOM_MY_GPU_1",
	} {
		if got := DeviceClass(name, "10de", "1db4"); got != want {
			t.Errorf("class %q: %s, want %s", name, got, want)
		}
	}
	got := DeviceTraits([]string{"HW_GPU_API_VULKAN", " my-awesome-gpu", "CUSTOM_B", "custom_b", "hw_gpu_api_vulkan", ""})
	if want := "[CUSTOM_B CUSTOM_HW_GPU_API_VULKAN CUSTOM_MY_AWESOME_GPU HW_GPU_API_VULKAN]"; fmt.Sprint(got) != want {
		t.Errorf("traits %v, want %s", got, want)
	}
	long := "CUSTOM_" + strings.Repeat("A", 250)
	if got := TooLongForPlacement("CUSTOM_A", long); got != long {
		t.Errorf("too long is %q", got)
	}
}
