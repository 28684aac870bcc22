package faults

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The disk of the control plane fills up. Clients get a clear answer in the service's own words, reading goes on, and
// when there is room again everything goes on by itself.
func TestTheDiskIsFull(t *testing.T) {
	needs(t)
	t.Parallel()
	home := t.TempDir()
	if err := unix.Mount("ingot-faults", home, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(home, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	namespace, machines := newRack(t, 3)
	s := newServer(t, namespace, options{home: home})
	s.start()
	c := login(t, s)
	c.fill()
	c.spares(machines...)
	slowDeploys(machines, 2*time.Second)
	underWay := c.create("under-way")
	awaitDeploys(t, machines, 1)
	upload := c.newImage("large")

	// An image that does not fit is refused as a whole, and leaves nothing.
	refused := func(what, envelope, method, path string, body any) {
		t.Helper()
		a, err := c.ask(method, path, body)
		if err != nil || a.status != 503 || !contains(string(a.body), envelope, "room") {
			t.Errorf("%s: %v %s", what, err, a)
		}
	}
	refused("an image larger than the disk", "<title>503", "PUT", "/image/v2/images/"+upload+"/file", noise(80<<20))
	status := func() (image struct{ Status string }) {
		t.Helper()
		c.do("GET", "/image/v2/images/"+upload, nil, &image)
		return image
	}
	if i := status(); i.Status != "queued" {
		t.Errorf("the image that did not fit is %s", i.Status)
	}

	free := fillDisk(t, home)
	var accepted []string
	for _, order := range []struct {
		what, envelope, method, path string
		body                         any
	}{
		{"a server", `"serviceUnavailable"`, "POST", "/compute/v2.1/servers", c.order("nowhere")},
		{"an image", "<title>503", "POST", "/image/v2/images", object{"name": "nowhere", "disk_format": "raw", "container_format": "bare"}},
		{"an image's data", "<title>503", "PUT", "/image/v2/images/" + upload + "/file", noise(1 << 20)},
		{"a port", `"NeutronError"`, "POST", "/network/v2.0/ports", object{"port": object{"network_id": c.network}}},
		{"a node", `"error_message"`, "POST", "/baremetal/v1/nodes", object{"name": "nowhere", "driver": "redfish"}},
	} {
		// The database may have a page to write to, from a moment ago or from what was deleted meanwhile.
		eventually(t, func() error {
			a, err := c.ask(order.method, order.path, order.body)
			if err == nil && a.status/100 == 2 {
				accepted = append(accepted, order.path+"/"+idOf(a))
				err = errors.New("there is still room for " + order.what)
			}
			return err
		})
		refused(order.what, order.envelope, order.method, order.path, order.body)
	}
	for _, path := range []string{"/compute/v2.1/servers/" + underWay, "/compute/v2.1/servers/detail", "/image/v2/images", "/baremetal/v1/nodes", "/network/v2.0/ports"} {
		c.do("GET", path, nil, nil)
	}
	login(t, s)                 // people can look what is wrong
	time.Sleep(3 * time.Second) // the deploy has ended meanwhile, and nobody could write it down
	free()
	for _, path := range accepted {
		if !strings.HasPrefix(path, "/compute/") { // servers come to their end below
			c.do("DELETE", path, nil, nil)
		}
	}

	// What was promised before or in between comes to its end, and nothing that was refused.
	c.awaitActive(underWay)
	var list struct{ Servers []struct{ ID, Name string } }
	c.do("GET", "/compute/v2.1/servers", nil, &list)
	for _, made := range list.Servers {
		i := c.awaitServer(made.ID)
		if i.Status == "ERROR" && contains(i.Fault.Message, "No valid host was found") {
			c.do("DELETE", "/compute/v2.1/servers/"+made.ID, nil, nil)
			c.awaitGone(made.ID)
		} else if i.Status != "ACTIVE" {
			t.Errorf("server %s is %s: %s", made.Name, i.Status, i.Fault.Message)
		}
	}
	eventually(t, func() error {
		if i := status(); i.Status != "queued" {
			return errors.New("the image is " + i.Status)
		}
		return nil
	})
	c.do("PUT", "/image/v2/images/"+upload+"/file", noise(1<<20), nil)
	balanced(t, s.open(), machines)
	if err := s.stop(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if s.said("panic") {
		t.Error("something panicked")
	}
}

// idOf is the id of what an answer tells: a port, a node or anything else.
func idOf(a answer) string {
	var made struct {
		ID, UUID string
		Port     struct{ ID string }
	}
	_ = json.Unmarshal(a.body, &made) // without an id the deletion fails
	return made.ID + made.UUID + made.Port.ID
}

// fillDisk takes all room on the disk; free gives it back.
func fillDisk(t *testing.T, home string) (free func()) {
	t.Helper()
	path := filepath.Join(home, "ballast")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range []int{1 << 20, 4 << 10} {
		for err = nil; err == nil; {
			_, err = io.CopyN(file, strings.NewReader(strings.Repeat("x", block)), int64(block))
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}
