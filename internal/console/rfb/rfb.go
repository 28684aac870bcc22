// Package rfb takes one picture from an RFB server (RFC 6143; VNC): QEMU's, OpenBMC's, and whoever else speaks it. It asks for
// raw pixels, and takes OpenBMC's JPEGs, which that one sends whatever is asked for.
package rfb

import (
	"bytes"
	"crypto/des"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"io"
	"math/bits"
	"time"
)

// ErrPassword means that the server wants a password and there is none, or it is wrong.
var ErrPassword = errors.New("the screen's server refuses the password")

const (
	maxPixels = 64 << 20 // of a screen
	maxText   = 1 << 20  // bytes of a name, a reason or a clipboard
)

// BlackPatience is for how long a black screen is asked again: some servers begin with a black frame before their first.
const BlackPatience = 2 * time.Second

// Capture says hello, takes the whole screen once, and returns; the caller closes the stream, which also ends a Capture that
// takes too long. black: every pixel is. The password is for servers with VNC authentication; others do not ask.
func Capture(stream io.ReadWriter, password string) (picture *image.RGBA, black bool, err error) {
	s := &session{ReadWriter: stream}
	s.handshake(password)
	s.write([]byte{1})                                                                                        // ClientInit: shared
	width, height := s.u16(), s.u16()                                                                         // ServerInit
	s.skip(16)                                                                                                // its pixel format
	s.text()                                                                                                  // its name
	s.write([]byte{0, 0, 0, 0 /* SetPixelFormat */, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0}) // R, G, B, x in memory
	s.write([]byte{2, 0, 0, 2 /* SetEncodings */, 0, 0, 0, raw, 0xff, 0xff, 0xff, 0x21})                      // raw, DesktopSize
	s.resize(width, height)
	for began := time.Now(); ; {
		if s.frame(); s.err != nil {
			return nil, false, s.err
		}
		if black = s.black(); !black || time.Since(began) > BlackPatience {
			return s.screen, black, nil
		}
		time.Sleep(BlackPatience / 20)
	}
}

// session reads and writes until its first error; from then on everything is zero.
type session struct {
	io.ReadWriter
	err    error
	screen *image.RGBA
	seen   []uint64 // a bit for each pixel that has come
	left   int      // pixels that have not
}

func (s *session) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

func (s *session) read(p []byte) []byte {
	if s.err == nil {
		if _, err := io.ReadFull(s, p); err != nil {
			clear(p)
			s.fail("the screen's server ended the connection: %w", err)
		}
	}
	return p
}

func (s *session) write(p []byte) {
	if s.err == nil {
		if _, err := s.Write(p); err != nil {
			s.fail("the screen's server ended the connection: %w", err)
		}
	}
}

func (s *session) u8() int    { return int(s.read(make([]byte, 1))[0]) }
func (s *session) u16() int   { return int(binary.BigEndian.Uint16(s.read(make([]byte, 2)))) }
func (s *session) u32() int   { return int(binary.BigEndian.Uint32(s.read(make([]byte, 4)))) }
func (s *session) skip(n int) { s.read(make([]byte, n)) }

func (s *session) text() string {
	n := s.u32()
	if n > maxText {
		s.fail("the screen's server sends a text of %d bytes", n)
		return ""
	}
	return string(s.read(make([]byte, n)))
}

// Security types and results.
const (
	securityNone = 1
	securityVNC  = 2
)

// handshake agrees on version and security (RFC 6143, 7.1).
func (s *session) handshake(password string) {
	var major, minor int
	if n, err := fmt.Sscanf(string(s.read(make([]byte, 12))), "RFB %03d.%03d\n", &major, &minor); n != 2 || err != nil || major < 3 {
		s.fail("this is no RFB server")
		return
	}
	switch {
	case major > 3 || minor >= 8:
		minor = 8
	case minor != 7:
		minor = 3 // 3.5 and the like are to be treated so
	}
	s.write(fmt.Appendf(nil, "RFB 003.%03d\n", minor))
	var offered []byte
	if minor == 3 {
		offered = []byte{byte(s.u32())}
	} else {
		offered = s.read(make([]byte, s.u8()))
	}
	kind := 0
	for _, o := range offered {
		if o == securityNone || o == securityVNC && kind == 0 {
			kind = int(o)
		}
	}
	switch {
	case len(offered) == 0 || offered[0] == 0:
		why := s.text()
		s.fail("the screen's server refuses: %s", why)
	case kind == 0:
		s.fail("the screen's server offers only the security types %v", offered)
	case minor > 3:
		s.write([]byte{byte(kind)})
	}
	if kind == securityVNC {
		s.write(response(s.read(make([]byte, 16)), password))
	}
	if kind == securityNone && minor < 8 {
		return
	}
	if s.u32() != 0 && s.err == nil {
		if minor == 8 {
			why := s.text()
			s.fail("%w: %s", ErrPassword, why)
		}
		s.fail("%w", ErrPassword)
	}
}

// response encrypts a challenge: DES in two blocks, the password's bits in each byte reversed.
func response(challenge []byte, password string) []byte {
	key := make([]byte, 8)
	copy(key, password)
	for i := range key {
		key[i] = bits.Reverse8(key[i])
	}
	cipher, err := des.NewCipher(key)
	if err != nil {
		panic(err) // the key has eight bytes
	}
	for half := 0; half < 16; half += 8 {
		cipher.Encrypt(challenge[half:half+8], challenge[half:half+8])
	}
	return challenge
}

func (s *session) resize(width, height int) {
	if width == 0 || height == 0 || width*height > maxPixels {
		s.fail("the screen is said to be %d by %d pixels", width, height)
		return
	}
	s.screen = image.NewRGBA(image.Rect(0, 0, width, height))
	s.blank()
}

func (s *session) blank() {
	s.left = len(s.screen.Pix) / 4
	s.seen = make([]uint64, s.left/64+1)
}

// frame asks for the whole screen and reads until all of it has come.
func (s *session) frame() {
	if s.err != nil {
		return
	}
	s.blank()
	s.ask()
	for s.left > 0 && s.err == nil {
		switch kind := s.u8(); kind {
		case 0: // FramebufferUpdate
			s.update()
		case 1: // SetColourMapEntries
			s.skip(3)
			s.skip(6 * s.u16())
		case 2: // Bell
		case 3: // ServerCutText
			s.skip(3)
			s.text()
		default:
			s.fail("the screen's server sends a message of the unknown kind %d", kind)
		}
	}
}

func (s *session) ask() {
	p := []byte{3, 0 /* FramebufferUpdateRequest, not incremental */, 0, 0, 0, 0}
	p = binary.BigEndian.AppendUint16(p, uint16(s.screen.Rect.Dx()))
	s.write(binary.BigEndian.AppendUint16(p, uint16(s.screen.Rect.Dy())))
}

// Encodings of rectangles.
const (
	raw         = 0
	tight       = 7
	desktopSize = -223
	lastRect    = -224
)

func (s *session) update() {
	s.skip(1)
	for rectangles := s.u16(); rectangles > 0 && s.err == nil; rectangles-- {
		x, y := s.u16(), s.u16()
		at := image.Rect(x, y, x+s.u16(), y+s.u16())
		encoding := int(int32(s.u32()))
		if encoding >= 0 && !at.In(s.screen.Rect) {
			s.fail("the screen's server sends %v of a screen of %v", at, s.screen.Rect)
			return
		}
		switch encoding {
		case raw:
			for y := at.Min.Y; y < at.Max.Y; y++ {
				s.read(s.screen.Pix[s.screen.PixOffset(at.Min.X, y):][:4*at.Dx()])
			}
			s.came(at)
		case tight:
			s.jpeg(at)
		case lastRect:
			return
		case desktopSize:
			s.resize(at.Dx(), at.Dy())
			s.ask()
		default:
			s.fail("the screen's server sends the encoding %d, which nobody asked for", encoding)
		}
	}
}

// jpeg reads the one form of Tight that OpenBMC has.
func (s *session) jpeg(at image.Rectangle) {
	if control := s.u8(); control>>4 != 9 {
		s.fail("the screen's server sends Tight's form %#x, which nobody asked for", control)
	}
	n := s.u8() // the length has up to three bytes: seven bits, seven, eight, the lowest first
	if n >= 1<<7 {
		if n += (s.u8() - 1) << 7; n >= 1<<14 {
			n += (s.u8() - 1) << 14
		}
	}
	part, err := jpeg.Decode(bytes.NewReader(s.read(make([]byte, n))))
	if err != nil {
		s.fail("the screen's picture: %w", err)
		return
	}
	draw.Draw(s.screen, at, part, part.Bounds().Min, draw.Src)
	s.came(at)
}

// came counts pixels, each once, and makes them opaque: what raw sends in the fourth byte is anything.
func (s *session) came(at image.Rectangle) {
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			n := y*s.screen.Rect.Dx() + x
			s.screen.Pix[4*n+3] = 0xff
			if bit := uint64(1) << (n % 64); s.seen[n/64]&bit == 0 {
				s.seen[n/64] |= bit
				s.left--
			}
		}
	}
}

func (s *session) black() bool {
	for n := 0; n < len(s.screen.Pix); n += 4 {
		if s.screen.Pix[n]|s.screen.Pix[n+1]|s.screen.Pix[n+2] != 0 {
			return false
		}
	}
	return true
}
