// Package image keeps the tenants' disk images: it takes uploads, checks that they are what they say, turns them into
// the deploy image that machines stream to their disks, and decides who may see and use them.
//
// An image's row lives in SQL, its bytes in Blobs (a folder, S3). Data come in by one path (ingest.go): spool to an
// unlinked local file while hashing, inspect, convert, store, and only then make the row active. Each attempt writes
// under keys drawn for it and recorded before the first byte, so a crash leaves nothing that Recover does not find, and
// a process that lost its lease cannot finish. Deleting makes the row go at once and the bytes when nobody holds them.
package image
