// Package s3 keeps the blobs of images in a bucket of an S3 store (AWS, Ceph's gateway, MinIO).
package s3

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/ingotcloud/ingot/internal/image"
)

// Options say which bucket. The bucket must exist: who may make buckets, and with what lifecycle, is the operator's.
type Options struct {
	Endpoint  string // host:port
	Insecure  bool   // HTTP instead of HTTPS
	Region    string // may be empty
	Bucket    string
	Prefix    string // of object names, so that a bucket may be shared; may be empty
	AccessKey string
	SecretKey string
	PartSize  uint64            // bytes; 32 MiB when 0. A blob has at most 10,000 parts, and one part is kept in memory per Put
	Transport http.RoundTripper // nil: the default
}

const small = 1 << 20 // bytes

// Blobs is the bucket.
type Blobs struct {
	client *minio.Client
	config Options
}

// Open checks that the bucket is there.
func Open(ctx context.Context, config Options) (*Blobs, error) {
	if config.PartSize == 0 {
		config.PartSize = 32 << 20
	}
	client, err := minio.New(config.Endpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(config.AccessKey, config.SecretKey, ""),
		Secure: !config.Insecure, Region: config.Region, Transport: config.Transport,
	})
	if err != nil {
		return nil, fmt.Errorf("the S3 store: %w", err)
	}
	found, err := client.BucketExists(ctx, config.Bucket)
	if err != nil {
		return nil, fmt.Errorf("the S3 bucket %s: %w", config.Bucket, err)
	}
	if !found {
		return nil, fmt.Errorf("the S3 bucket %s does not exist", config.Bucket)
	}
	return &Blobs{client, config}, nil
}

func (b *Blobs) name(key string) string { return b.config.Prefix + key }

// Put uploads a small blob in one request, a larger one in parts which become an object when all have arrived; the
// client aborts the upload when r fails. Each request carries the MD5 of its body.
func (b *Blobs) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	if err := image.CheckKey(key); err != nil {
		return 0, err
	}
	buffered := bufio.NewReaderSize(r, small)
	size := int64(-1)
	switch head, err := buffered.Peek(small); {
	case errors.Is(err, io.EOF):
		size = int64(len(head))
	case err != nil:
		return 0, err
	}
	info, err := b.client.PutObject(ctx, b.config.Bucket, b.name(key), buffered, size, minio.PutObjectOptions{
		PartSize: b.config.PartSize, ContentType: "application/octet-stream", SendContentMd5: true, DisableContentSha256: true,
	})
	if err != nil {
		return 0, storeError(err)
	}
	return info.Size, nil
}

// Open asks for the object's size; reads are ranged requests.
func (b *Blobs) Open(ctx context.Context, key string) (image.Blob, error) {
	if err := image.CheckKey(key); err != nil {
		return nil, err
	}
	object, err := b.client.GetObject(ctx, b.config.Bucket, b.name(key), minio.GetObjectOptions{})
	if err != nil {
		return nil, storeError(err)
	}
	info, err := object.Stat()
	if err != nil {
		return nil, errors.Join(storeError(err), object.Close())
	}
	return blob{object, info.Size}, nil
}

type blob struct {
	*minio.Object
	size int64
}

func (b blob) Size() int64 { return b.size }

// Delete removes the object and the parts of uploads that were interrupted.
func (b *Blobs) Delete(ctx context.Context, key string) error {
	if err := image.CheckKey(key); err != nil {
		return err
	}
	err := b.client.RemoveIncompleteUpload(ctx, b.config.Bucket, b.name(key))
	if err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchUpload {
		return storeError(err)
	}
	return storeError(b.client.RemoveObject(ctx, b.config.Bucket, b.name(key), minio.RemoveObjectOptions{}))
}

// List asks the store.
func (b *Blobs) List(ctx context.Context, prefix string) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the lister when we leave early
	var keys []string
	for object := range b.client.ListObjects(ctx, b.config.Bucket, minio.ListObjectsOptions{Prefix: b.name(prefix), Recursive: true}) {
		if object.Err != nil {
			return nil, storeError(object.Err)
		}
		keys = append(keys, strings.TrimPrefix(object.Key, b.config.Prefix))
	}
	return keys, nil
}

func storeError(err error) error {
	var response minio.ErrorResponse
	if !errors.As(err, &response) {
		return err
	}
	switch {
	case response.Code == minio.NoSuchKey, response.StatusCode == http.StatusNotFound && response.Code != minio.NoSuchBucket:
		return fmt.Errorf("%w: %w", image.ErrNoBlob, err)
	// What Ceph's gateway, MinIO and WebDAV-minded gateways answer when there is no room.
	case response.Code == "QuotaExceeded", response.Code == "XMinioStorageFull", response.StatusCode == http.StatusInsufficientStorage:
		return fmt.Errorf("%w: %w", image.ErrStoreFull, err)
	}
	return err
}
