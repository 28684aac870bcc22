package glance

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/image"
)

const binaryType = "application/octet-stream"

func checkBinary(r *osapi.Request) error {
	media, _, _ := mime.ParseMediaType(r.HTTP.Header.Get("Content-Type")) // a malformed one is not it either
	if media != binaryType {
		return &osapi.Error{Status: http.StatusUnsupportedMediaType, Err: fault.New(fault.Invalid, "The Content-Type of image data is %s.", binaryType)}
	}
	return nil
}

func (a *api) upload(r *osapi.Request) (any, error) {
	if err := checkBinary(r); err != nil {
		return nil, err
	}
	expect, err := announced(r.HTTP)
	if err != nil {
		return nil, err
	}
	return nil, a.images.Upload(r.Context(), writes(r), r.Path("id"), r.HTTP.Body, expect)
}

// announced is what the headers say of the body: its length, and its MD5 in hex (as Glance writes it) or base64 (as
// RFC 1864 does).
func announced(h *http.Request) (e image.Expect, err error) {
	e.Size = max(h.ContentLength, 0)
	if text := h.Header.Get("X-Openstack-Image-Size"); text != "" {
		if e.Size, err = strconv.ParseInt(text, 10, 64); err != nil || e.Size < 0 {
			return e, fault.New(fault.Invalid, "The header x-openstack-image-size is no size: '%.40s'", text)
		}
	}
	e.MD5 = h.Header.Get("Content-Md5")
	if sum, err := base64.StdEncoding.DecodeString(e.MD5); err == nil && len(sum) == 16 {
		e.MD5 = hex.EncodeToString(sum)
	}
	return e, nil
}

func (a *api) stage(r *osapi.Request) (any, error) {
	if err := checkBinary(r); err != nil {
		return nil, err
	}
	return nil, a.images.Stage(r.Context(), writes(r), r.Path("id"), r.HTTP.Body)
}

func (a *api) importStaged(r *osapi.Request) (any, error) {
	var body struct {
		Method struct {
			Name string `json:"name"`
			URI  string `json:"uri"` // of web-download
		} `json:"method"`
		// There is one store, so these change nothing.
		Stores      []string `json:"stores"`
		AllStores   bool     `json:"all_stores"`
		MustSucceed bool     `json:"all_stores_must_succeed"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if !slices.Contains(importMethods, body.Method.Name) {
		return nil, fault.New(fault.Invalid, "Unknown import method name '%.40s'.", body.Method.Name)
	}
	for _, name := range body.Stores {
		if name != store {
			return nil, fault.New(fault.Invalid, "Invalid backend store '%.40s'.", name)
		}
	}
	return nil, a.images.Import(r.Context(), writes(r), r.Path("id"), r.ID)
}

// taskLife is how long Glance keeps a task; ours live as long as their image.
const taskLife = 48 * time.Hour

func (a *api) listTasks(r *osapi.Request) (any, error) {
	tasks, err := a.images.Tasks(r.Context(), reads(r), r.Path("id"))
	shown := make([]osapi.Object, len(tasks))
	for n, t := range tasks {
		shown[n] = osapi.Object{
			"id": t.ID, "type": "api_image_import", "status": t.Status, "owner": t.Project, "user_id": t.User, "image_id": t.Image, "request_id": t.Request,
			"created_at": osapi.Zulu(t.Created), "updated_at": osapi.Zulu(t.Updated), "expires_at": osapi.Zulu(t.Updated.Add(taskLife)), "deleted_at": nil, "deleted": false,
			"input": osapi.Object{
				"image_id": t.Image, "import_req": osapi.Object{"method": osapi.Object{"name": importMethods[0]}}, "backend": []string{store},
			},
			"result": nil, "message": t.Message,
		}
	}
	return osapi.Object{"tasks": shown}, err
}

func (a *api) download(r *osapi.Request) (any, error) {
	i, data, err := a.images.Download(r.Context(), reads(r), r.Path("id"))
	if fault.Is(err, fault.NotFound) && i.ID != "" {
		return osapi.Response{Status: http.StatusNoContent}, nil // the image is there and has no data
	}
	if err != nil {
		return nil, err
	}
	first, length, err := section(r.HTTP.Header.Get("Range"), i.Size)
	if err == nil {
		_, err = data.Seek(first, io.SeekStart)
	}
	if err != nil {
		_ = data.Close() // read only
		return nil, err
	}
	header := http.Header{"Content-Type": {binaryType}, "Content-Length": {strconv.FormatInt(length, 10)}}
	answer := osapi.Response{Header: header, Body: body{io.LimitReader(data, length), data}}
	if length < i.Size {
		answer.Status = http.StatusPartialContent
		header.Set("Content-Range", "bytes "+strconv.FormatInt(first, 10)+"-"+strconv.FormatInt(first+length-1, 10)+"/"+strconv.FormatInt(i.Size, 10))
	} else {
		header.Set("Content-MD5", i.Checksum)
	}
	if r.HTTP.Method == http.MethodHead {
		answer.Body = nil
		_ = data.Close() // read only
	}
	return answer, nil
}

type body struct {
	io.Reader
	io.Closer
}

// section reads a Range header of one range (RFC 9110, section 14.2); without a header it is everything.
func section(header string, size int64) (first, length int64, err error) {
	if header == "" {
		return 0, size, nil
	}
	refused := &osapi.Error{Status: http.StatusRequestedRangeNotSatisfiable,
		Err: fault.New(fault.Invalid, "The range '%.80s' cannot be had of an image of %d bytes.", header, size)}
	from, to, ok := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	if !ok || !strings.HasPrefix(header, "bytes=") || strings.Contains(header, ",") {
		return 0, 0, refused
	}
	last := size - 1
	switch {
	case from == "": // the last bytes
		n, err := strconv.ParseInt(to, 10, 64)
		if err != nil || n <= 0 {
			return 0, 0, refused
		}
		first = max(size-n, 0)
	default:
		if first, err = strconv.ParseInt(from, 10, 64); err != nil || first < 0 || first >= size {
			return 0, 0, refused
		}
		if to != "" {
			if last, err = strconv.ParseInt(to, 10, 64); err != nil || last < first {
				return 0, 0, refused
			}
			last = min(last, size-1)
		}
	}
	return first, last - first + 1, nil
}
