package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/agent/boot"
	"github.com/ingotcloud/ingot/internal/agent/deploy"
	"github.com/ingotcloud/ingot/internal/agent/disk"
	"github.com/ingotcloud/ingot/internal/ramdisk"
)

// guestFigures are what a machine of the rack does by itself, in MiB/s.
type guestFigures struct {
	Raw   float64 // raw direct writes
	Image float64 // a deployment of bytes that nothing compresses, from memory
	Hash  float64 // SHA-256 on one core
}

const (
	guestSize   = 128 * mib
	guestRounds = 3
	guestDisk   = "/dev/nvme0n1"
	guestMark   = "ingot-bench: "
)

// guest is what this program does as the init of a machine: it measures, tells its figures on the console, and powers
// the machine off.
func guest() {
	figures, err := measureInGuest(context.Background())
	text, _ := json.Marshal(figures) // numbers only
	if err != nil {
		text = []byte(err.Error())
	}
	fmt.Printf("\n%s%s\n", guestMark, text)
	time.Sleep(time.Second) // until the serial line has it
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func measureInGuest(ctx context.Context) (guestFigures, error) {
	if err := boot.Mount(); err != nil {
		return guestFigures{}, err
	}
	d, err := disk.Open(guestDisk)
	if err != nil {
		return guestFigures{}, err
	}
	i := newImage(guestSize, 1)
	var raws, images, hashes []time.Duration
	for range guestRounds {
		for _, one := range []struct {
			times *[]time.Duration
			do    func() (time.Duration, error)
		}{
			{&raws, func() (time.Duration, error) { return rawWrite(d, guestSize) }},
			{&images, func() (time.Duration, error) {
				began := time.Now()
				_, err := deploy.Job{Image: "bench", Images: i, Manifest: i.manifest, Disk: d}.Run(ctx)
				return time.Since(began), err
			}},
			{&hashes, func() (time.Duration, error) {
				began := time.Now()
				sha256.Sum256(i.pool)
				return time.Since(began), nil
			}},
		} {
			if err := d.Discard(0, d.Size); err != nil {
				return guestFigures{}, err
			}
			t, err := one.do()
			if err != nil {
				return guestFigures{}, err
			}
			*one.times = append(*one.times, t)
		}
	}
	return guestFigures{
		Raw: perSecond(guestSize, median(raws)), Image: perSecond(guestSize, median(images)),
		Hash: perSecond(int64(len(i.pool)), median(hashes)),
	}, nil
}

// bootGuest has a machine with the kernel measure its disk.
func bootGuest(ctx context.Context, dir, accel, kernel string) (guestFigures, error) {
	var figures guestFigures
	self, err := os.Executable()
	if err != nil {
		return figures, err
	}
	initrd, path := filepath.Join(dir, "bench.initrd"), filepath.Join(dir, "guest.raw")
	if err := ramdisk.Initrd(initrd, self, nil); err != nil {
		return figures, err
	}
	f := &file{path: path}
	if err := f.clean(guestSize + 64*mib); err != nil {
		return figures, err
	}
	v, err := startVM(ctx, accel, path, kernel, initrd, "console=ttyS0 quiet")
	if err != nil {
		return figures, err
	}
	defer v.stop()
	if _, err := v.await(ctx, guestMark); err != nil {
		return figures, err
	}
	select {
	case <-v.exited:
	case <-time.After(machinePatience):
		return figures, fmt.Errorf("the machine that measures does not go off")
	}
	_, text, _ := bytes.Cut(v.said(), []byte(guestMark))
	line, _, _ := bytes.Cut(text, []byte("\n"))
	if err := json.Unmarshal(bytes.TrimSpace(line), &figures); err != nil {
		return figures, fmt.Errorf("the machine that measures says: %s", line)
	}
	return figures, nil
}
