package console

import "bytes"

const (
	tailKept  = 512 // bytes of the end of our recording to find in what a BMC replays
	tailLeast = 64  // fewer are no proof
)

// fresh is what is new of the first output of a connection.
//
// OpenBMC's console server greets with the last 128 KiB that the machine printed, perhaps under another tenant. As it is in
// order, whatever stands behind the end of our own recording is new and this instance's; and output in which that end is
// missing began after it. An instance without a recording has printed nothing yet: then all of it is from before.
func fresh(greeting, tail []byte) []byte {
	if len(tail) < tailLeast {
		return nil
	}
	if at := bytes.LastIndex(greeting, tail); at >= 0 {
		return greeting[at+len(tail):]
	}
	return greeting
}
