package forensics_test

import (
	"bytes"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/console/forensics"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// second makes each line of a log come a second after the one before.
func second(log []byte) iter.Seq[forensics.Chunk] {
	return func(yield func(forensics.Chunk) bool) {
		n := 0
		for line := range bytes.Lines(log) {
			if !yield(forensics.Chunk{At: began.Add(time.Duration(n) * time.Second), Output: line}) {
				return
			}
			n++
		}
	}
}

func logs(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.log")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d logs, %v", len(files), err)
	}
	return files
}

// A log's name begins with the fault that it shows, and it shows no other that matters; good ones show none.
func TestEachLogShowsItsFault(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range logs(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			log, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			report := forensics.Analyse(second(log))
			boot := report.Latest()
			if boot == nil {
				t.Fatal("no boot was seen")
			}
			t.Logf("%s, good: %v", boot.Phase(), boot.Good)
			name := strings.TrimSuffix(filepath.Base(file), ".log")
			for _, f := range boot.Findings {
				t.Logf("%s: %s (%s)", f.Fault, f.Says, f.Line)
				if strings.Contains(f.Says, "%") || f.Do == "" {
					t.Errorf("%+v", f)
				}
			}
			if strings.HasPrefix(name, "good") {
				if len(boot.Findings) > 0 || !boot.Good || boot.Trouble() != nil {
					t.Errorf("a good boot: %+v", boot)
				}
				return
			}
			if len(boot.Findings) == 0 || !strings.HasPrefix(name, boot.Findings[0].Fault) {
				t.Fatalf("it is not recognised: %+v", boot)
			}
			seen[boot.Findings[0].Fault] = true
			for _, f := range boot.Findings[1:] {
				if f.Fault != "initramfs-shell" && f.Fault != "kernel-panic" && f.Fault != "no-boot-device" { // what a fault ends in
					t.Errorf("it also shows %s: %s", f.Fault, f.Line)
				}
			}
		})
	}
	for _, name := range forensics.FaultNames() {
		if !seen[name] {
			t.Errorf("no log shows %s", name)
		}
	}
}

// The same, whatever the pieces in which the stream comes.
func TestPiecesDoNotMatter(t *testing.T) {
	for _, file := range logs(t) {
		log, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		reports := [2]forensics.Report{}
		for i, size := range []int{1, 4000} {
			reports[i] = forensics.Analyse(func(yield func(forensics.Chunk) bool) {
				for left := log; len(left) > 0; left = left[min(size, len(left)):] {
					if !yield(forensics.Chunk{At: began, Output: left[:min(size, len(left))]}) {
						return
					}
				}
			})
		}
		if diff := cmp.Diff(reports[0], reports[1], cmp.AllowUnexported(forensics.Finding{})); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

func chunks(list ...forensics.Chunk) iter.Seq[forensics.Chunk] {
	return func(yield func(forensics.Chunk) bool) {
		for _, c := range list {
			if !yield(c) {
				return
			}
		}
	}
}

func at(seconds int, text string) forensics.Chunk {
	return forensics.Chunk{At: began.Add(time.Duration(seconds) * time.Second), Output: []byte(text)}
}

func on(seconds int) forensics.Chunk {
	return forensics.Chunk{At: began.Add(time.Duration(seconds) * time.Second), PowerOn: true}
}

func TestPhasesNextToTheLastGoodBoot(t *testing.T) {
	report := forensics.Analyse(chunks(
		at(0, "the end of something that began before the record\r\n"),
		on(10), at(13, "SeaBIOS (version 1.16)\r\n"), at(15, "Booting from Hard Disk...\r\nGRUB loading.\r\nWelcome to GRUB!\r\n"),
		at(20, "[    0.000000] Linux version 6.1.0\r\n"), at(24, "[    1.2] Run /init as init process\r\n"),
		at(30, "Debian GNU/Linux 12 web ttyS0\r\n\r\nweb login: "),
		at(99, "root\r\nLast login: today\r\n"), // somebody uses it
		on(100), at(103, "SeaBIOS (version 1.16)\r\n"), at(109, "Booting from Hard Disk...\r\n"), at(110, "\x1b[2J\x1b[1;1HGRUB loading.\r\n"),
		at(111, "error: no such partition.\r\nEntering rescue mode...\r\ngrub rescue> "),
	))
	if len(report.Boots) != 2 {
		t.Fatalf("%d boots", len(report.Boots))
	}
	first, last := report.Boots[0], report.Latest()
	if !first.Good || first.Trouble() != nil || last.Good || last.Trouble() == nil {
		t.Errorf("%+v", report)
	}
	if says := last.Findings[0].Says; !strings.Contains(says, "no such partition") {
		t.Error(says)
	}
	var got []string
	for _, span := range last.Phases {
		got = append(got, span.Phase.String()+" "+span.Took.String()+"/"+span.Usual.String())
	}
	if diff := cmp.Diff([]string{"power on 3s/3s", "firmware 6s/2s", "disk boot 1s/0s", "boot loader 0s/5s"}, got); diff != "" {
		t.Error(diff)
	}
}

// A system that starts another kernel or resets itself begins another boot, without a word from the BMC.
func TestResetsBeginBoots(t *testing.T) {
	report := forensics.Analyse(chunks(
		at(0, "[    0.000000] Linux version 6.1.0 (the agent)\n"), at(2, "[    1.0] Run /init as init process\n"),
		at(5, "[    0.000000] Linux version 6.1.0 (the tenant's)\n"), at(7, "web login: "),
		at(9, "\nBdsDxe: loading Boot0001\nBdsDxe: starting Boot0001\nGNU GRUB  version 2.06\n"), at(12, "[    0.000000] Linux version 6.1.0\n"), at(15, "web login: "),
	))
	if len(report.Boots) != 3 || report.Boots[0].Good || !report.Boots[1].Good || !report.Boots[2].Good {
		t.Fatalf("%+v", report.Boots)
	}
	if n := len(report.Boots[2].Phases); n != 5 {
		t.Errorf("%d phases: %+v", n, report.Boots[2].Phases)
	}
}

// What the boot got past is told as that.
func TestFaultsThatPass(t *testing.T) {
	report := forensics.Analyse(chunks(
		at(0, "iPXE initialising devices...\nNo configuration methods succeeded (http://ipxe.org/040ee186)\n"),
		at(9, "Booting from Hard Disk...\n"), at(12, "[    0.000000] Linux version 6.1.0\n"), at(15, "web login: "),
	))
	boot := report.Latest()
	if len(boot.Findings) != 1 || boot.Findings[0].Fault != "dhcp-timeout" || !boot.Findings[0].Passed || boot.Trouble() != nil || !boot.Good {
		t.Errorf("%+v", boot)
	}
}

// A firmware that tries the network after the disk has not got past what it says of the disk.
func TestTheNextDeviceDoesNotMendTheFirst(t *testing.T) {
	report := forensics.Analyse(chunks(
		on(0), at(5, "BdsDxe: loading Boot0001 \"disk\"\nBdsDxe: failed to load Boot0001 \"disk\": Access Denied\n"),
		at(6, "BdsDxe: loading Boot0002 \"network\"\nBdsDxe: starting Boot0002 \"network\"\n>>Start PXE over IPv4.\n  PXE-E16: No valid offer received.\n"),
		at(9, "BdsDxe: failed to start Boot0002 \"network\": Not Found\nBdsDxe: No bootable option or device was found.\n"),
	))
	if trouble := report.Latest().Trouble(); trouble == nil || trouble.Fault != "secure-boot" {
		t.Errorf("the trouble is %+v of %+v", trouble, report.Latest())
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"\x1b[1;31mred\x1b[0m\tplain": "red\tplain", "\x1b]0;title\x07text": "text", "a\x1b(Bb\x1b=c\x07d\x00": "abcd", "already ünïcode": "already ünïcode",
	} {
		if got := forensics.Plain(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func BenchmarkAnalyse4MiB(b *testing.B) {
	log, err := os.ReadFile("testdata/good.log")
	if err != nil {
		b.Fatal(err)
	}
	whole := bytes.Repeat(log, 4<<20/len(log))
	b.SetBytes(int64(len(whole)))
	for b.Loop() {
		forensics.Analyse(chunks(forensics.Chunk{At: began, Output: whole}))
	}
}
