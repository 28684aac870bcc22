package glance_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
)

// TestTheStockClients does the life of an image with the openstack and glance commands.
func TestTheStockClients(t *testing.T) {
	if testing.Short() {
		t.Skip("the stock clients take seconds to start")
	}
	for _, program := range []string{"openstack", "glance"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	c := start(t)
	dir := t.TempDir()
	data := bytes.Repeat([]byte("data"), 1000)
	up, down := filepath.Join(dir, "up"), filepath.Join(dir, "down")
	if err := os.WriteFile(up, data, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		// No Keystone here: each client has its own way to be told endpoint and token.
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "OS_CLIENT_CONFIG_FILE=/dev/null"}
		if args[0] == "openstack" {
			cmd.Env = append(cmd.Env, "OS_AUTH_TYPE=admin_token", "OS_ENDPOINT="+c.URL+"/image/v2", "OS_TOKEN="+Demo)
		} else {
			cmd.Env = append(cmd.Env, "OS_AUTH_TOKEN="+Demo, "OS_IMAGE_URL="+c.URL+"/image")
		}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s%s", args, err, out, stderr.String())
		}
		return strings.TrimSpace(string(out))
	}
	openstack := func(args ...string) string { t.Helper(); return run(append([]string{"openstack"}, args...)...) }

	openstack("image", "create", "--disk-format", "raw", "--container-format", "bare", "--file", up, "--tag", "t", "--property", "os_type=linux", "--min-disk", "2", "first")
	if got := openstack("image", "list", "-f", "value", "-c", "Name", "-c", "Status"); got != "first active" {
		t.Errorf("list: %q", got)
	}
	if got := openstack("image", "show", "first", "-f", "value", "-c", "size", "-c", "visibility", "-c", "min_disk", "-c", "checksum"); !strings.Contains(got, "4000") {
		t.Errorf("show: %q", got)
	}
	openstack("image", "set", "--property", "os_distro=debian", "--name", "second", "--tag", "u", "first")
	openstack("image", "unset", "--property", "os_type", "--tag", "t", "second")
	openstack("image", "save", "--file", down, "second")
	if back, err := os.ReadFile(down); err != nil || !bytes.Equal(back, data) {
		t.Errorf("save: %d bytes, %v", len(back), err)
	}
	openstack("image", "add", "project", "second", OtherProject)
	if got := openstack("image", "member", "list", "second", "-f", "value"); !strings.Contains(got, OtherProject+" pending") {
		t.Errorf("members: %q", got)
	}
	openstack("image", "delete", "second")
	if got := openstack("image", "list", "-f", "value"); got != "" {
		t.Errorf("after delete: %q", got)
	}

	run("glance", "image-create", "--name", "third", "--disk-format", "raw", "--container-format", "bare", "--file", up)
	if got := run("glance", "image-list"); !strings.Contains(got, "third") {
		t.Errorf("glance image-list: %q", got)
	}
	run("sh", "-c", "glance image-create-via-import --name fourth --disk-format raw --container-format bare --import-method glance-direct <"+up)
	if got := run("glance", "image-list"); !strings.Contains(got, "fourth") {
		t.Errorf("glance image-list: %q", got)
	}
}
