package consoletest

import (
	"bytes"
	"context"
	"encoding/binary"
	"image/color"
	"io"
	"net"
)

// Screen is an RFB server in memory (RFC 6143) whose screen has one colour. It is what Show takes.
func Screen(width, height int, colour color.RGBA) func(ctx context.Context) (io.ReadWriteCloser, error) {
	return func(context.Context) (io.ReadWriteCloser, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()                           //nolint:errcheck // a pipe's never fails
			_ = serveScreen(theirs, width, height, colour) // ends when the viewer leaves
		}()
		return ours, nil
	}
}

func serveScreen(c net.Conn, width, height int, colour color.RGBA) error {
	say := func(parts ...any) error {
		var out bytes.Buffer
		for _, part := range parts {
			if err := binary.Write(&out, binary.BigEndian, part); err != nil {
				return err
			}
		}
		_, err := c.Write(out.Bytes())
		return err
	}
	hear := func(n int) ([]byte, error) {
		p := make([]byte, n)
		_, err := io.ReadFull(c, p)
		return p, err
	}
	w, h := uint16(width), uint16(height)
	pixels := bytes.Repeat([]byte{colour.R, colour.G, colour.B, 0}, width*height)
	for _, turn := range []struct {
		say  []any
		hear int
	}{
		{[]any{[]byte("RFB 003.008\n")}, 12},
		{[]any{[]byte{1, 1}}, 1}, // no security
		{[]any{uint32(0)}, 1},
		{[]any{w, h, [16]byte{32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16}, uint32(4), []byte("test")}, 0},
	} {
		if err := say(turn.say...); err != nil {
			return err
		}
		if _, err := hear(turn.hear); err != nil {
			return err
		}
	}
	for {
		kind, err := hear(1)
		if err != nil {
			return err
		}
		length := map[byte]int{0: 19, 2: 3, 3: 9, 4: 7, 5: 5, 6: 7}[kind[0]]
		rest, err := hear(length)
		if err != nil {
			return err
		}
		switch kind[0] {
		case 2: // SetEncodings
			_, err = hear(4 * int(binary.BigEndian.Uint16(rest[1:])))
		case 3: // FramebufferUpdateRequest; one that is incremental waits for a change, which never comes
			if rest[0] == 0 {
				err = say([]byte{0, 0, 0, 1}, uint16(0), uint16(0), w, h, int32(0), pixels)
			}
		case 6: // ClientCutText
			_, err = hear(int(binary.BigEndian.Uint32(rest[3:])))
		}
		if err != nil {
			return err
		}
	}
}
