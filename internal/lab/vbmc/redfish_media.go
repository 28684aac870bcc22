package vbmc

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

// media is the virtual CD's drive. The BMC itself fetches the image, as a real one does.
type media struct {
	dir  string
	mu   sync.Mutex
	busy bool // a download or an ejection is under way
}

// take reserves the drive; free gives it back.
func (m *media) take() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy {
		return false
	}
	m.busy = true
	return true
}

func (m *media) free() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy = false
}

func getMedia(s *Redfish, _ *call) (object, error) {
	image, file := s.machine.Media()
	inserted := image != "" || file != ""
	o := object{
		"MediaTypes":           []string{"CD", "DVD"},
		"Inserted":             inserted,
		"WriteProtected":       true,
		"ConnectedVia":         "NotConnected",
		"Image":                nil,
		"ImageName":            nil,
		"TransferProtocolType": nil,
		"VerifyCertificate":    false,
		"Actions": object{
			"#VirtualMedia.InsertMedia": object{
				"target": root + "/" + mediaPath + "/Actions/VirtualMedia.InsertMedia",
				"TransferProtocolType@Redfish.AllowableValues": []string{"HTTP", "HTTPS"},
				"TransferMethod@Redfish.AllowableValues":       []string{"Upload", "Stream"},
			},
			"#VirtualMedia.EjectMedia": object{"target": root + "/" + mediaPath + "/Actions/VirtualMedia.EjectMedia"},
		},
	}
	if inserted {
		o["Image"], o["ImageName"], o["ConnectedVia"] = image, path.Base(image), "URI"
		if scheme, _, ok := strings.Cut(image, ":"); ok {
			o["TransferProtocolType"] = strings.ToUpper(scheme)
		}
	}
	return o, nil
}

// insertMedia fetches the image and puts it into the drive. A client that prefers respond-async (DSP0266,
// "Asynchronous operations") gets a task at once; others wait for the end.
func insertMedia(s *Redfish, c *call) (*reply, error) {
	var body struct {
		Image, TransferProtocolType, TransferMethod *string
		Inserted, WriteProtected                    *bool
		UserName, Password, MediaType               *string
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	refuse := func(name, value string) error {
		return fail("ActionParameterNotSupported", name, c.action()).because("%s %s is not supported: this drive fetches public images and shows them read-only.", name, value).about(name)
	}
	switch {
	case body.Image == nil:
		return nil, fail("ActionParameterMissing", c.action(), "Image").about("Image")
	case body.UserName != nil && *body.UserName != "":
		return nil, refuse("UserName", *body.UserName)
	case body.Inserted != nil && !*body.Inserted:
		return nil, refuse("Inserted", "false")
	case body.WriteProtected != nil && !*body.WriteProtected:
		return nil, refuse("WriteProtected", "false")
	}
	image := *body.Image
	if u, err := url.Parse(image); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fail("ActionParameterValueFormatError", image, "Image", c.action()).about("Image")
	}
	if p := body.TransferProtocolType; p != nil && !strings.HasPrefix(strings.ToLower(image), strings.ToLower(*p)+":") {
		return nil, fail("ActionParameterValueNotInList", *p, "TransferProtocolType", c.action()).about("TransferProtocolType")
	}
	if !s.media.take() {
		return nil, fail("ResourceInUse")
	}
	if was, file := s.machine.Media(); was != "" || file != "" {
		s.media.free()
		return nil, fail("ResourceInUse").because("There is already media in the drive: eject it first.")
	}
	t := s.tasks.start("Insert virtual media")
	s.spawn(func() {
		defer s.media.free()
		s.tasks.end(t, s.fetchAndInsert(image))
	})
	if strings.Contains(c.r.Header.Get("Prefer"), "respond-async") {
		r := t.monitorReply(s.tasks)
		r.header["Preference-Applied"] = "respond-async"
		return r, nil
	}
	select {
	case <-t.done:
	case <-c.r.Context().Done(): // the client left; the task tells whoever asks
	}
	return t.result(s.tasks)
}

func (s *Redfish) fetchAndInsert(image string) *failure {
	file, err := fetch(s.ctx, image, s.media.dir)
	if err != nil {
		return fail("CouldNotEstablishConnection", image).because("The image at %s could not be fetched: %v.", image, err).about("Image")
	}
	if err := s.machine.InsertMedia(s.ctx, image, file); err != nil {
		os.Remove(file) // nobody reads it
		return fail("OperationFailed").because("The image could not be inserted: %v.", err)
	}
	return nil
}

// fetch downloads the image into a new file in dir. The certificate of an https server is not verified, which is what
// VerifyCertificate says and what BMCs do unless told otherwise.
func fetch(ctx context.Context, image, dir string) (name string, err error) {
	transport := &http.Transport{ResponseHeaderTimeout: 30 * time.Second, TLSClientConfig: insecureTLS()}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, image, nil)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the server answers %s", resp.Status)
	}
	file, err := os.CreateTemp(dir, "cd-*.iso")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(file, resp.Body)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(file.Name()) // half an image
		return "", err
	}
	return file.Name(), nil
}

func ejectMedia(s *Redfish, c *call) (*reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return nil, err
	}
	if !s.media.take() {
		return nil, fail("ResourceInUse")
	}
	defer s.media.free()
	_, file := s.machine.Media()
	if err := s.machine.EjectMedia(s.ctx); err != nil {
		return nil, fail("OperationFailed").because("The media could not be ejected: %v.", err)
	}
	if strings.HasPrefix(file, s.media.dir+string(os.PathSeparator)) { // only what was fetched is ours
		if err := os.Remove(file); err != nil {
			s.log.Warn("an ejected image stays behind", "file", file, "error", err)
		}
	}
	return nil, nil
}
