// Package deploy writes an image and a config drive to a disk: it empties the disk, fetches the image's extents by
// ranges in parallel, writes what their hashes approve by direct I/O, reads samples back, and puts the config drive
// into a partition of its own at the end.
//
// Nothing of it is remembered: a second run begins anew, whatever the first one left on the disk.
package deploy
