package console

// The sizes of rings, in bytes. 1,000 lines that nobody watches take 16 MiB.
const (
	ringIdle    = 16 << 10
	ringWatched = 1 << 20
)

// ring is the last output of a line in memory, by its place in the whole stream: all viewers of a line share it, however
// many they are. A byte's index is its place modulo the size.
type ring struct {
	data       []byte
	start, end int64 // places of the oldest byte and behind the newest
}

func newRing(size int) ring { return ring{data: make([]byte, size)} }

func (r *ring) write(p []byte) {
	size := int64(len(r.data))
	if over := int64(len(p)) - size; over > 0 {
		r.end, p = r.end+over, p[over:]
	}
	for len(p) > 0 {
		n := copy(r.data[r.end%size:], p)
		r.end, p = r.end+int64(n), p[n:]
	}
	r.start = max(r.start, r.end-size)
}

// read copies from a place that is there; 0 at the end.
func (r *ring) read(place int64, p []byte) (n int) {
	size := int64(len(r.data))
	for n < len(p) && place < r.end {
		at := place % size
		copied := copy(p[n:], r.data[at:min(size, at+r.end-place)])
		n, place = n+copied, place+int64(copied)
	}
	return n
}

// last is a copy of the last n bytes, or of all that is there.
func (r *ring) last(n int) []byte {
	p := make([]byte, min(int64(n), r.end-r.start))
	r.read(r.end-int64(len(p)), p)
	return p
}

// resize keeps as much of the end as fits; places stay what they are.
func (r *ring) resize(size int) {
	if size == len(r.data) {
		return
	}
	kept, end := r.last(size), r.end
	*r = newRing(size)
	r.start, r.end = end-int64(len(kept)), end-int64(len(kept))
	r.write(kept)
}
