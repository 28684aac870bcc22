package nova

import (
	"encoding/json"
	"maps"
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/instance"
)

// rebuildBody is what a client may change of a server when it is rebuilt; what is absent stays.
type rebuildBody struct {
	ImageRef     string                   `json:"imageRef"`
	Name         *string                  `json:"name"`
	AccessIPv4   *string                  `json:"accessIPv4"`
	AccessIPv6   *string                  `json:"accessIPv6"`
	DiskConfig   *string                  `json:"OS-DCF:diskConfig"`
	Metadata     map[string]string        `json:"metadata"`
	AdminPass    string                   `json:"adminPass"`          // as when a server is made
	Preserve     osapi.Bool               `json:"preserve_ephemeral"` // machines have no ephemeral disk
	Personality  []object                 `json:"personality"`
	Description  osapi.Optional[string]   `json:"description"`
	KeyName      osapi.Optional[string]   `json:"key_name"`
	UserData     osapi.Optional[string]   `json:"user_data"`
	Certificates osapi.Optional[[]string] `json:"trusted_image_certificates"`
	Hostname     *string                  `json:"hostname"`
}

var rebuildFields = osapi.Fields{
	"description": osapi.Since(2, 19), "key_name": osapi.Since(2, 54), "user_data": osapi.Since(2, 57), "personality": osapi.Until(2, 56),
	"trusted_image_certificates": osapi.Since(2, 63), "hostname": osapi.Since(2, 90),
}

func (a *api) rebuild(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	var body rebuildBody
	if err := osapi.Strict(arguments, &body); err != nil {
		return nil, err
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(arguments, &given); err != nil {
		return nil, missing("rebuild")
	}
	for field := range given {
		if !rebuildFields[field].Has(r.Version) {
			return nil, fault.New(fault.Invalid, "Additional properties are not allowed (%q was unexpected in %q).", field, "rebuild")
		}
	}
	publicKey, err := a.checkRebuild(r, i, &body)
	if err != nil {
		return nil, err
	}
	most, err := a.mostMetadata(r, i.Project)
	if err != nil {
		return nil, err
	}
	rebuilt, err := a.Instances.Rebuild(r.Context(), writer(r), i.ID, by(r), func(i *instance.Instance) error {
		return body.onto(r, i, publicKey, most)
	})
	if err != nil {
		return nil, err
	}
	shown, err := a.show(r, rebuilt)
	if err != nil {
		return nil, err
	}
	if !r.Version.AtLeast(2, 75) {
		key := shown["key_name"]
		shorten(shown)
		if r.Version.AtLeast(2, 54) {
			shown["key_name"] = key
		}
	}
	delete(shown, "OS-EXT-SRV-ATTR:user_data") // here it has a name of its own
	if r.Version.AtLeast(2, 57) {
		shown["user_data"] = null(rebuilt.UserData)
	}
	return osapi.Response{Status: http.StatusAccepted, Header: http.Header{"Location": {r.URL("/v2.1/servers/", i.ID)}}, Body: object{"server": shown}}, nil
}

// checkRebuild looks up what the body names; it gives the text of the key.
func (a *api) checkRebuild(r *osapi.Request, i *instance.Instance, b *rebuildBody) (publicKey string, err error) {
	switch {
	case b.ImageRef == "" || checkUUID("imageRef", b.ImageRef) != nil:
		return "", fault.New(fault.Invalid, "Invalid imageRef provided.")
	case len(b.Personality) > 0:
		return "", fault.New(fault.Quota, "Personality file limit exceeded")
	case len(b.Certificates.Value) > 0:
		return "", fault.New(fault.Invalid, "Trusted image certificates are not supported by this server.")
	}
	img, err := a.Images.Get(r.Context(), image.Caller{Project: r.Caller.ProjectID, Admin: r.Caller.IsAdmin()}, b.ImageRef)
	if fault.Is(err, fault.NotFound) {
		return "", fault.New(fault.Invalid, "Cannot find image for rebuild")
	}
	if err != nil {
		return "", err
	}
	if err := fits(&i.Flavor, &img); err != nil || !b.KeyName.Set || b.KeyName.Null {
		return "", err
	}
	key, err := a.Keypairs.Get(r.Context(), i.Owner, b.KeyName.Value)
	if fault.Is(err, fault.NotFound) {
		return "", fault.New(fault.Invalid, "Invalid key_name provided.")
	}
	return key.PublicKey, err
}

// onto writes the body's changes to the server, checked as an update's are. It may have so many items of metadata at most.
func (b *rebuildBody) onto(r *osapi.Request, i *instance.Instance, publicKey string, most int) error {
	var update updateBody
	s := &update.Server
	s.Name, s.AccessIPv4, s.AccessIPv6, s.DiskConfig, s.Description, s.Hostname = b.Name, b.AccessIPv4, b.AccessIPv6, b.DiskConfig, b.Description, b.Hostname
	if err := update.onto(r, i); err != nil {
		return err
	}
	i.Image = b.ImageRef
	if b.Metadata != nil {
		i.Metadata = maps.Clone(b.Metadata)
		if err := checkMetadata(i.Metadata, most); err != nil {
			return err
		}
	}
	if b.KeyName.Set {
		i.KeyName, i.PublicKey = b.KeyName.Value, publicKey
	}
	if b.UserData.Set {
		i.UserData = b.UserData.Value
		return checkUserData(i.UserData)
	}
	return nil
}
