package rfb_test

import (
	"bytes"
	"crypto/des"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/console/rfb"
)

// serve gives the stream to a server that does what script says, and a Capture of it.
func capture(t *testing.T, password string, script func(s server)) (*image.RGBA, bool, error) {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer theirs.Close() //nolint:errcheck // a pipe's never fails
		script(server{t, theirs})
	}()
	picture, black, err := rfb.Capture(ours, password)
	_ = ours.Close() // wakes the script
	<-done
	return picture, black, err
}

type server struct {
	t *testing.T
	io.ReadWriter
}

// says writes numbers of one byte, strings as they are, and shorts.
func (s server) says(parts ...any) {
	var out bytes.Buffer
	for _, part := range parts {
		switch p := part.(type) {
		case int:
			out.WriteByte(byte(p))
		case string:
			out.WriteString(p)
		case []byte:
			out.Write(p)
		case uint16, uint32, int32:
			_ = binary.Write(&out, binary.BigEndian, p) // a buffer takes all
		}
	}
	_, _ = s.Write(out.Bytes()) // a client that has left says so by its error
}

func (s server) hears(n int) []byte {
	p := make([]byte, n)
	_, _ = io.ReadFull(s, p) // likewise
	return p
}

func (s server) hello(version, want string) {
	s.says(version)
	if got := string(s.hears(12)); got != want {
		s.t.Errorf("the client answers %q with %q", version, got)
	}
}

// screen is all up to the first request for a frame.
func (s server) screen(width, height int) {
	if shared := s.hears(1); shared[0] != 1 {
		s.t.Error("the client wants the screen for itself")
	}
	s.says(uint16(width), uint16(height), make([]byte, 16), uint32(4), "name")
	if got := s.hears(20 + 12); got[0] != 0 || got[4] != 32 || got[20] != 2 {
		s.t.Errorf("the client sends % x", got)
	}
	s.asked()
}

func (s server) asked() {
	if got := s.hears(10); got[0] != 3 || got[1] != 0 {
		s.t.Errorf("the client sends % x", got)
	}
}

// rectangle is the head of one.
func rectangle(x, y, width, height int, encoding int32) []byte {
	var out bytes.Buffer
	for _, n := range []int{x, y, width, height} {
		_ = binary.Write(&out, binary.BigEndian, uint16(n))
	}
	_ = binary.Write(&out, binary.BigEndian, encoding)
	return out.Bytes()
}

func pixels(n int, red, green, blue byte) []byte {
	return bytes.Repeat([]byte{red, green, blue, 0x55}, n)
}

func wantPixel(t *testing.T, picture *image.RGBA, x, y int, want color.RGBA) {
	t.Helper()
	if got := picture.RGBAAt(x, y); got != want {
		t.Errorf("%d,%d is %v, want %v", x, y, got, want)
	}
}

var red, blue = color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 255, 255}

// A screen comes in pieces, with other messages between them, and is resized meanwhile.
func TestCaptureRaw(t *testing.T) {
	picture, black, err := capture(t, "", func(s server) {
		s.hello("RFB 003.008\n", "RFB 003.008\n")
		s.says(2, 2, 1) // two types: VNC, none
		if s.hears(1)[0] != 1 {
			t.Error("the client chooses to send a password")
		}
		s.says(uint32(0))
		s.screen(8, 8)
		s.says(2, 3, 0, 0, 0, uint32(3), "cut", 1, 0, uint16(0), uint16(1), make([]byte, 6)) // bell, clipboard, colours
		s.says(0, 0, uint16(1), rectangle(0, 0, 4, 2, -223))
		s.asked()
		s.says(0, 0, uint16(1), rectangle(0, 0, 4, 1, 0), pixels(4, 255, 0, 0))
		s.says(0, 0, uint16(0xffff), rectangle(0, 1, 2, 1, 0), pixels(2, 0, 0, 255), rectangle(2, 1, 2, 1, 0), pixels(2, 0, 0, 255), rectangle(0, 0, 0, 0, -224))
	})
	if err != nil || black {
		t.Fatal(black, err)
	}
	if picture.Rect != image.Rect(0, 0, 4, 2) {
		t.Error(picture.Rect)
	}
	wantPixel(t, picture, 3, 0, red)
	wantPixel(t, picture, 0, 1, blue)
	wantPixel(t, picture, 3, 1, blue)
}

// OpenBMC begins with a black frame and then sends JPEGs, whatever is asked for.
func TestCaptureOpenBMC(t *testing.T) {
	drawn := image.NewRGBA(image.Rect(0, 0, 256, 192))
	for n := range drawn.Pix {
		drawn.Pix[n] = byte(n * 7919 >> 3) // noise, so that the length needs three bytes
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, drawn, &jpeg.Options{Quality: 100}); err != nil || file.Len() < 1<<14 {
		t.Fatal(file.Len(), err)
	}
	n := file.Len()
	picture, black, err := capture(t, "", func(s server) {
		s.hello("RFB 003.008\n", "RFB 003.008\n")
		s.says(1, 1)
		s.hears(1)
		s.says(uint32(0))
		s.screen(256, 192)
		s.says(0, 0, uint16(1), rectangle(0, 0, 256, 192, 0), make([]byte, 4*256*192))
		s.asked()
		s.says(0, 0, uint16(1), rectangle(0, 0, 256, 192, 7), 0x90, n&0x7f|0x80, n>>7&0x7f|0x80, n>>14, file.Bytes())
	})
	if err != nil || black {
		t.Fatal(black, err)
	}
	want, _, err := image.Decode(&file)
	if err != nil {
		t.Fatal(err)
	}
	r, g, b, _ := want.At(100, 100).RGBA()
	wantPixel(t, picture, 100, 100, color.RGBA{byte(r >> 8), byte(g >> 8), byte(b >> 8), 255})
}

func TestCaptureBlack(t *testing.T) {
	frames := 0
	picture, black, err := capture(t, "", func(s server) {
		s.hello("RFB 003.003\n", "RFB 003.003\n")
		s.says(uint32(1))
		s.screen(2, 2)
		for {
			frames++
			s.says(0, 0, uint16(1), rectangle(0, 0, 2, 2, 0), pixels(4, 0, 0, 0))
			if s.hears(10)[0] != 3 {
				return
			}
		}
	})
	if err != nil || !black || picture.Rect.Dx() != 2 || frames < 2 {
		t.Error(black, err, frames)
	}
}

// With a password: what a server computes from the challenge by RFC 6143, 7.2.2.
func TestCaptureWithPassword(t *testing.T) {
	challenge := []byte("sixteen bytes...")
	// "secret" with each byte's bits reversed.
	cipher, err := des.NewCipher([]byte{0xce, 0xa6, 0xc6, 0x4e, 0xa6, 0x2e, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 16)
	cipher.Encrypt(want, challenge[:8])
	cipher.Encrypt(want[8:], challenge[8:])
	for _, password := range []string{"secret", "wrong"} {
		picture, _, err := capture(t, password, func(s server) {
			s.hello("RFB 003.008\n", "RFB 003.008\n")
			s.says(1, 2)
			s.hears(1)
			s.says(challenge)
			if !bytes.Equal(s.hears(16), want) {
				s.says(uint32(1), uint32(9), "go away\r\n")
				return
			}
			s.says(uint32(0))
			s.screen(1, 1)
			s.says(0, 0, uint16(1), rectangle(0, 0, 1, 1, 0), pixels(1, 255, 0, 0))
		})
		if password == "secret" {
			if err != nil {
				t.Fatal(err)
			}
			wantPixel(t, picture, 0, 0, red)
		} else if !errors.Is(err, rfb.ErrPassword) || !strings.Contains(err.Error(), "go away") {
			t.Error(err)
		}
	}
}

// What cannot be right is an error, and neither a crash nor a great deal of memory.
func TestCaptureRefuses(t *testing.T) {
	none := func(s server, width, height int) {
		s.hello("RFB 003.008\n", "RFB 003.008\n")
		s.says(1, 1)
		s.hears(1)
		s.says(uint32(0))
		if width > 0 {
			s.screen(width, height)
		}
	}
	for want, script := range map[string]func(s server){
		"this is no RFB server":        func(s server) { s.says("SSH-2.0-OpenSS") },
		"ended the connection":         func(s server) { s.says("RFB") },
		"refuses: too many":            func(s server) { s.hello("RFB 003.008\n", "RFB 003.008\n"); s.says(0, uint32(8), "too many") },
		"only the security types [19]": func(s server) { s.hello("RFB 003.007\n", "RFB 003.007\n"); s.says(1, 19) },
		"said to be 0 by 5 pixels":     func(s server) { none(s, 0, 0); s.hears(1); s.says(uint16(0), uint16(5), make([]byte, 20)); s.hears(40) },
		"said to be 65535 by 65535 pixels": func(s server) {
			none(s, 0, 0)
			s.hears(1)
			s.says(uint16(65535), uint16(65535), make([]byte, 20))
			s.hears(40)
		},
		"a text of 4294967295 bytes": func(s server) {
			none(s, 0, 0)
			s.hears(1)
			s.says(uint16(1), uint16(1), make([]byte, 16), uint32(1<<32-1))
		},
		"sends (0,0)-(3,1) of a screen of (0,0)-(2,2)": func(s server) { none(s, 2, 2); s.says(0, 0, uint16(1), rectangle(0, 0, 3, 1, 0)) },
		"the encoding 5":       func(s server) { none(s, 2, 2); s.says(0, 0, uint16(1), rectangle(0, 0, 2, 2, 5)) },
		"Tight's form 0x80":    func(s server) { none(s, 2, 2); s.says(0, 0, uint16(1), rectangle(0, 0, 2, 2, 7), 0x80) },
		"the screen's picture": func(s server) { none(s, 2, 2); s.says(0, 0, uint16(1), rectangle(0, 0, 2, 2, 7), 0x90, 3, "abc") },
		"the unknown kind 9":   func(s server) { none(s, 2, 2); s.says(9) },
	} {
		if picture, _, err := capture(t, "", script); err == nil || !strings.Contains(err.Error(), want) || picture != nil {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
