package netboot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/insomniacslk/dhcp/iana"
	"pgregory.net/rapid"

	"github.com/ingotcloud/ingot/internal/netns"
)

func newResponder() *responder {
	return &responder{
		source: newTable("token"), self: testServer, web: netip.AddrPortFrom(testServer, 8080),
		log: slog.New(slog.DiscardHandler),
	}
}

func vendor(class string, archs ...iana.Arch) dhcpv4.Modifier {
	return func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptClassIdentifier(class))
		if archs != nil {
			m.UpdateOption(dhcpv4.OptClientArch(archs...))
		}
	}
}

func TestBootProgramByArchitecture(t *testing.T) {
	const artefacts = "http://10.99.0.1:8080/boot/" + testKey + "/"
	for _, c := range []struct {
		name     string
		mac      string
		ask      []dhcpv4.Modifier
		file     string
		class    string
		skipWait bool
	}{
		{"BIOS", testMAC, []dhcpv4.Modifier{vendor("PXEClient:Arch:00000:UNDI:002001", iana.INTEL_X86PC)}, "undionly.kpxe", "PXEClient", false},
		{"UEFI PXE", testMAC, []dhcpv4.Modifier{vendor("PXEClient:Arch:00007:UNDI:003001", iana.EFI_X86_64)}, "snponly.efi", "PXEClient", false},
		{"UEFI PXE before the erratum", testMAC, []dhcpv4.Modifier{vendor("PXEClient:Arch:00009:UNDI:003001", iana.EFI_BC)}, "snponly.efi", "PXEClient", false},
		{"UEFI HTTP", testMAC, []dhcpv4.Modifier{vendor("HTTPClient:Arch:00016:UNDI:003001", iana.EFI_X86_64_HTTP)}, artefacts + "ingot.efi", "HTTPClient", false},
		{"iPXE by user class", testMAC, []dhcpv4.Modifier{vendor("PXEClient:Arch:00000:UNDI:002001", iana.INTEL_X86PC), dhcpv4.WithUserClass("iPXE", false)}, artefacts + "script.ipxe", "", true},
		{"iPXE by user class of RFC 3004", testMAC, []dhcpv4.Modifier{vendor("PXEClient:Arch:00007:UNDI:003010", iana.EFI_X86_64), dhcpv4.WithUserClass("iPXE", true)}, artefacts + "script.ipxe", "", true},
		{"iPXE by option 175", testMAC, []dhcpv4.Modifier{vendor("PXEClient:Arch:00007:UNDI:003010", iana.EFI_X86_64), dhcpv4.WithGeneric(optionIPXE, []byte{19, 1, 1})}, artefacts + "script.ipxe", "", true},
		{"ARM64", testMAC, []dhcpv4.Modifier{vendor("PXEClient:Arch:00011:UNDI:003001", iana.EFI_ARM64)}, "", "", false},
		{"ARM64 HTTP", testMAC, []dhcpv4.Modifier{vendor("HTTPClient:Arch:00019:UNDI:003001", iana.EFI_ARM64_HTTP)}, "", "", false},
		{"an operating system", testMAC, nil, "", "", false},
		{"nothing armed", plainMAC, []dhcpv4.Modifier{vendor("PXEClient:Arch:00007:UNDI:003001", iana.EFI_X86_64)}, "", "", false},
		{"nothing armed, iPXE", plainMAC, []dhcpv4.Modifier{dhcpv4.WithUserClass("iPXE", false)}, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ask, err := dhcpv4.NewDiscovery(mustMAC(t, c.mac), c.ask...)
			if err != nil {
				t.Fatal(err)
			}
			_, reply := newResponder().answer(t.Context(), ask.ToBytes())
			if reply == nil {
				t.Fatal("no answer")
			}
			if got := reply.BootFileNameOption(); got != c.file || reply.BootFileName != c.file {
				t.Errorf("boot file: option %q, field %q, want %q", got, reply.BootFileName, c.file)
			}
			if got := reply.ClassIdentifier(); got != c.class {
				t.Errorf("vendor class %q, want %q", got, c.class)
			}
			if got := bytes.Equal(reply.Options.Get(optionIPXE), []byte{176, 1, 1}); got != c.skipWait {
				t.Errorf("iPXE told not to wait for ProxyDHCP: %v", got)
			}
			if next := reply.ServerIPAddr; c.file != "" && !next.Equal(testServer.AsSlice()) {
				t.Errorf("next server %v", next)
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	ours, other := net.IPv4(10, 99, 0, 10), net.IPv4(10, 99, 0, 77)
	us, them := net.IPv4(10, 99, 0, 1), net.IPv4(10, 99, 0, 2)
	request := func(mods ...dhcpv4.Modifier) []dhcpv4.Modifier {
		return append([]dhcpv4.Modifier{dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest)}, mods...)
	}
	kind := func(k dhcpv4.MessageType, mods ...dhcpv4.Modifier) []dhcpv4.Modifier {
		return append([]dhcpv4.Modifier{dhcpv4.WithMessageType(k)}, mods...)
	}
	wants := func(ip net.IP) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ip)) }
	from := func(ip net.IP) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(ip)) }
	for _, c := range []struct {
		name string
		ask  []dhcpv4.Modifier
		want dhcpv4.MessageType // None: silence
	}{
		{"discover", kind(dhcpv4.MessageTypeDiscover), dhcpv4.MessageTypeOffer},
		{"discover wishing another address", kind(dhcpv4.MessageTypeDiscover, wants(other)), dhcpv4.MessageTypeOffer},
		{"selecting us", request(from(us), wants(ours)), dhcpv4.MessageTypeAck},
		{"selecting us, wrong address", request(from(us), wants(other)), dhcpv4.MessageTypeNak},
		{"selecting another server", request(from(them), wants(ours)), dhcpv4.MessageTypeNone},
		{"after a restart", request(wants(ours)), dhcpv4.MessageTypeAck},
		{"after a restart, wrong address", request(wants(other)), dhcpv4.MessageTypeNak},
		{"renewing", request(dhcpv4.WithClientIP(ours)), dhcpv4.MessageTypeAck},
		{"renewing, wrong address", request(dhcpv4.WithClientIP(other)), dhcpv4.MessageTypeNak},
		{"requesting nothing", request(), dhcpv4.MessageTypeNone},
		{"inform", kind(dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(ours)), dhcpv4.MessageTypeAck},
		{"inform from a foreign address", kind(dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(other)), dhcpv4.MessageTypeNone},
		{"decline", kind(dhcpv4.MessageTypeDecline, from(us), wants(ours)), dhcpv4.MessageTypeNone},
		{"release", kind(dhcpv4.MessageTypeRelease, from(us), dhcpv4.WithClientIP(ours)), dhcpv4.MessageTypeNone},
		{"an offer", kind(dhcpv4.MessageTypeOffer), dhcpv4.MessageTypeNone},
		{"an unknown kind", kind(99), dhcpv4.MessageTypeNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			relay := []byte{1, 4, 'p', 'o', 'r', 't'}
			mods := append(c.ask, dhcpv4.WithHwAddr(mustMAC(t, testMAC)), dhcpv4.WithRelay(net.IPv4(10, 1, 1, 1)),
				dhcpv4.WithGeneric(dhcpv4.OptionRelayAgentInformation, relay))
			ask, err := dhcpv4.New(mods...)
			if err != nil {
				t.Fatal(err)
			}
			_, reply := newResponder().answer(t.Context(), ask.ToBytes())
			if reply == nil {
				if c.want != dhcpv4.MessageTypeNone {
					t.Fatalf("no answer, want %s", c.want)
				}
				return
			}
			if got := reply.MessageType(); got != c.want {
				t.Fatalf("answered %s, want %s", got, c.want)
			}
			if !bytes.Equal(reply.Options.Get(dhcpv4.OptionRelayAgentInformation), relay) || !reply.GatewayIPAddr.Equal(net.IPv4(10, 1, 1, 1)) {
				t.Error("the relay's option 82 or address did not come back")
			}
			if reply.TransactionID != ask.TransactionID || !reply.ServerIdentifier().Equal(us) {
				t.Error("transaction or server identifier is wrong")
			}
			switch {
			case c.want == dhcpv4.MessageTypeNak:
				if !reply.IsBroadcast() || reply.YourIPAddr != nil {
					t.Error("a NAK through a relay is broadcast and gives no address")
				}
			case ask.MessageType() == dhcpv4.MessageTypeInform:
				if reply.YourIPAddr != nil || reply.Options.Has(dhcpv4.OptionIPAddressLeaseTime) {
					t.Error("INFORM was given an address or a lease time")
				}
			default:
				if !reply.YourIPAddr.Equal(ours) || reply.IPAddressLeaseTime(0) != time.Hour || reply.IPAddressRenewalTime(0) != time.Hour/2 {
					t.Errorf("address %v, lease %v", reply.YourIPAddr, reply.IPAddressLeaseTime(0))
				}
				if reply.HostName() != "m1" || reply.Router() != nil || reply.DNS() != nil || reply.SubnetMask().String() != "ffffff00" {
					t.Errorf("parameters: %s", reply.Summary())
				}
			}
		})
	}
}

func TestUnknownMachineGetsNoAnswer(t *testing.T) {
	ask, err := dhcpv4.NewDiscovery(mustMAC(t, "52:54:00:ff:ff:ff"))
	if err != nil {
		t.Fatal(err)
	}
	if _, reply := newResponder().answer(t.Context(), ask.ToBytes()); reply != nil {
		t.Fatalf("answered %s", reply)
	}
}

// TestMalformedPackets damages a good packet in every way that makes it no request any more, and feeds pure noise too.
func TestMalformedPackets(t *testing.T) {
	r := newResponder()
	good, err := dhcpv4.NewDiscovery(mustMAC(t, testMAC), vendor("PXEClient:Arch:00007", iana.EFI_X86_64), dhcpv4.WithUserClass("iPXE", true))
	if err != nil {
		t.Fatal(err)
	}
	// Without the padding of the codec, so that every cut loses the end of the options.
	base := good.ToBytes()
	base = base[:bytes.LastIndexByte(base, 0xff)+1]
	if _, reply := r.answer(t.Context(), base); reply == nil {
		t.Fatal("the good packet got no answer: this test proves nothing")
	}
	const options = 240
	rapid.Check(t, func(t *rapid.T) {
		packet := bytes.Clone(base)
		switch how := rapid.SampledFrom([]string{"noise", "cut", "operation", "hardware", "length", "cookie", "kind", "address", "server"}).Draw(t, "how"); how {
		case "noise":
			packet = rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "bytes")
		case "cut":
			packet = packet[:rapid.IntRange(0, len(packet)-1).Draw(t, "at")]
		case "operation":
			packet[0] = rapid.Byte().Filter(func(b byte) bool { return b != 1 }).Draw(t, "op")
		case "hardware":
			packet[1] = rapid.Byte().Filter(func(b byte) bool { return b != 1 }).Draw(t, "htype")
		case "length":
			packet[2] = rapid.Byte().Filter(func(b byte) bool { return b != 6 }).Draw(t, "hlen")
		case "cookie":
			packet[options-4+rapid.IntRange(0, 3).Draw(t, "byte")] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
		default:
			code := map[string]byte{"kind": 53, "address": 50, "server": 54}[how]
			size := rapid.IntRange(0, 20).Filter(func(n int) bool { return n != 4 && n != 1 }).Draw(t, "size")
			value := rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "value")
			packet = append(append(packet[:len(packet)-1], code, byte(size)), append(value, 255)...)
			if how == "kind" && size == 0 { // adding nothing to option 53 leaves it well
				return
			}
		}
		if _, reply := r.answer(context.Background(), packet); reply != nil {
			t.Fatalf("answered %s", reply)
		}
	})
	// Damage anywhere, also where it does not matter: no panic, and whatever is answered goes to the machine itself.
	rapid.Check(t, func(t *rapid.T) {
		packet := bytes.Clone(base)
		for range rapid.IntRange(1, 8).Draw(t, "damages") {
			packet[rapid.IntRange(0, len(packet)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "value")
		}
		if _, reply := r.answer(context.Background(), packet); reply != nil {
			if reply.ClientHWAddr.String() != testMAC && reply.ClientHWAddr.String() != plainMAC {
				t.Fatalf("answered a stranger: %s", reply)
			}
			reply.ToBytes()
		}
	})
}

// TestDHCPOnTheWire leases through real sockets: broadcast, a frame to an address that is not up yet, and unicast.
func TestDHCPOnTheWire(t *testing.T) {
	rig := newRig(t)
	source := newTable("token")
	server := rig.start(t, source, Artifacts{})
	for _, broadcast := range []bool{true, false} {
		t.Run(fmt.Sprintf("broadcast=%v", broadcast), func(t *testing.T) {
			client := rig.client(t, testMAC)
			lease, err := client.Request(t.Context(), dhcpv4.WithBroadcast(broadcast), vendor("HTTPClient:Arch:00016:UNDI:003001", iana.EFI_X86_64_HTTP))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := lease.ACK.BootFileNameOption(), URL(server.HTTPAddr(), testKey, UKI); got != want {
				t.Errorf("boot file %q, want %q", got, want)
			}
			if got := lease.ACK.YourIPAddr.String(); got != "10.99.0.10" {
				t.Errorf("address %s", got)
			}
		})
	}
	t.Run("wrong address is refused", func(t *testing.T) {
		client := rig.client(t, testMAC)
		offer, err := client.DiscoverOffer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		offer.YourIPAddr = net.IPv4(10, 99, 0, 200)
		_, err = client.RequestFromOffer(t.Context(), offer)
		if nak := new(nclient4.ErrNak); !errors.As(err, &nak) {
			t.Fatalf("not refused: %v", err)
		}
	})
	t.Run("a stranger gets silence", func(t *testing.T) {
		client := rig.client(t, "52:54:00:ff:ff:ff", nclient4.WithTimeout(300*time.Millisecond), nclient4.WithRetry(1))
		if offer, err := client.DiscoverOffer(t.Context()); err == nil {
			t.Fatalf("offered %s", offer)
		} else if !strings.Contains(err.Error(), "no matching response") {
			t.Fatal(err)
		}
	})
	t.Run("renewing by unicast", func(t *testing.T) {
		err := netns.Do(rig.clients, func() error {
			if err := setUp("cli0", "10.99.0.10/24"); err != nil {
				return err
			}
			conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 99, 0, 10), Port: 68}, &net.UDPAddr{IP: testServer.AsSlice(), Port: 67})
			if err != nil {
				return err
			}
			defer conn.Close()
			ask, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest), dhcpv4.WithClientIP(net.IPv4(10, 99, 0, 10)), dhcpv4.WithHwAddr(mustMAC(t, testMAC)))
			if err != nil {
				return err
			}
			if _, err := conn.Write(ask.ToBytes()); err != nil {
				return err
			}
			if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				return err
			}
			buf := make([]byte, 1500)
			n, err := conn.Read(buf)
			if err != nil {
				return err
			}
			reply, err := dhcpv4.FromBytes(buf[:n])
			if err != nil {
				return err
			}
			if reply.MessageType() != dhcpv4.MessageTypeAck {
				return fmt.Errorf("answered %s", reply)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// client speaks for a machine on cli0.
func (r *rig) client(t *testing.T, mac string, opts ...nclient4.ClientOpt) *nclient4.Client {
	t.Helper()
	var client *nclient4.Client
	err := netns.Do(r.clients, func() (err error) {
		client, err = nclient4.New("cli0", append([]nclient4.ClientOpt{nclient4.WithHWAddr(mustMAC(t, mac)), nclient4.WithTimeout(5 * time.Second)}, opts...)...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}
