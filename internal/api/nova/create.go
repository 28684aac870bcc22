package nova

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/flavor"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/instance"
)

// createBody is what a client may send to make a server.
type createBody struct {
	Server   newServer      `json:"server"`
	Hints    map[string]any `json:"os:scheduler_hints"`
	HintsOld map[string]any `json:"OS-SCH-HNT:scheduler_hints"`
}

type newServer struct {
	Name           string                   `json:"name"`
	ImageRef       string                   `json:"imageRef"`
	FlavorRef      ref                      `json:"flavorRef"`
	KeyName        string                   `json:"key_name"`
	Networks       json.RawMessage          `json:"networks"`
	MinCount       *osapi.Int               `json:"min_count"`
	MaxCount       *osapi.Int               `json:"max_count"`
	Metadata       map[string]string        `json:"metadata"`
	UserData       string                   `json:"user_data"`
	ConfigDrive    osapi.Bool               `json:"config_drive"`
	Zone           string                   `json:"availability_zone"`
	Description    *string                  `json:"description"`
	Tags           []string                 `json:"tags"`
	Hostname       *string                  `json:"hostname"`
	SecurityGroups []object                 `json:"security_groups"`
	Mapping        []blockDevice            `json:"block_device_mapping_v2"`
	OldMapping     []object                 `json:"block_device_mapping"`
	AccessIPv4     string                   `json:"accessIPv4"`
	AccessIPv6     string                   `json:"accessIPv6"`
	DiskConfig     string                   `json:"OS-DCF:diskConfig"`
	AdminPass      string                   `json:"adminPass"` // there is no way to set one: see the answer
	Reservation    osapi.Bool               `json:"return_reservation_id"`
	Personality    []object                 `json:"personality"`
	Certificates   osapi.Optional[[]string] `json:"trusted_image_certificates"`
	Host           string                   `json:"host"`
	Hypervisor     string                   `json:"hypervisor_hostname"`
}

// newServerFields are those that do not exist in all versions.
var newServerFields = osapi.Fields{
	"description": osapi.Since(2, 19), "tags": osapi.Since(2, 52), "hostname": osapi.Since(2, 90), "personality": osapi.Until(2, 56),
	"trusted_image_certificates": osapi.Since(2, 63), "host": osapi.Since(2, 74), "hypervisor_hostname": osapi.Since(2, 74),
}

// blockDevice is a row of block_device_mapping_v2: only the disk that an image is written to.
type blockDevice struct {
	BootIndex   *osapi.Int `json:"boot_index"`
	UUID        string     `json:"uuid"`
	Source      string     `json:"source_type"`
	Destination string     `json:"destination_type"`
	Delete      osapi.Bool `json:"delete_on_termination"`
	DeviceName  *string    `json:"device_name"`
	DeviceType  *string    `json:"device_type"`
	DiskBus     *string    `json:"disk_bus"`
	GuestFormat *string    `json:"guest_format"`
	VolumeSize  *osapi.Int `json:"volume_size"`
	NoDevice    osapi.Bool `json:"no_device"`
	Tag         *string    `json:"tag"`
	VolumeType  *string    `json:"volume_type"`
}

// mostAtOnce is how many servers one request may make.
const mostAtOnce = 100

// createServer answers as a Nova with [api]enable_instance_password off: a password would be a promise that nobody keeps.
func (a *api) createServer(r *osapi.Request) (any, error) {
	var body createBody
	if err := decode(r, &body, "server", newServerFields); err != nil {
		return nil, err
	}
	spec, err := a.spec(r, &body.Server)
	if err != nil {
		return nil, err
	}
	if spec.Group, err = groupHint(body.Hints, body.HintsOld); err != nil {
		return nil, err
	}
	made, err := a.Instances.Create(r.Context(), by(r), spec)
	if err != nil {
		return nil, err
	}
	if body.Server.Reservation {
		return object{"reservation_id": made[0].Reservation}, nil
	}
	groups := body.Server.SecurityGroups
	if len(groups) == 0 {
		groups = []object{{"name": "default"}}
	}
	return osapi.Response{
		Header: http.Header{"Location": {r.URL("/v2.1/servers/", made[0].ID)}},
		Body: object{"server": object{
			"id": made[0].ID, "links": links(r, "servers", made[0].ID), "OS-DCF:diskConfig": made[0].DiskConfig, "security_groups": groups,
		}},
	}, nil
}

// spec checks what a client sent and looks up what it names.
func (a *api) spec(r *osapi.Request, s *newServer) (spec instance.Spec, err error) {
	spec = instance.Spec{
		Name: s.Name, KeyName: s.KeyName, UserData: s.UserData, ConfigDrive: bool(s.ConfigDrive), Zone: s.Zone, Metadata: s.Metadata,
		Tags: s.Tags, AccessIPv4: s.AccessIPv4, AccessIPv6: canonical(s.AccessIPv6), DiskConfig: s.DiskConfig,
	}
	if s.Description != nil {
		spec.Description = *s.Description
	}
	if err := s.check(r); err != nil {
		return spec, err
	}
	most, err := a.mostMetadata(r, r.Caller.ProjectID)
	if err == nil {
		err = checkMetadata(s.Metadata, most)
	}
	if err != nil {
		return spec, err
	}
	if err := a.destination(r, s, &spec); err != nil {
		return spec, err
	}
	if spec.SecurityGroups, err = a.requestedGroups(r, s.SecurityGroups); err != nil {
		return spec, err
	}
	if spec.Count, err = s.count(); err != nil {
		return spec, err
	}
	if s.Hostname != nil {
		if spec.Hostname = *s.Hostname; spec.Count > 1 {
			return spec, fault.New(fault.Invalid, "Unable to allocate a single hostname to multiple instances")
		}
	}
	if spec.NICs, spec.AutoNetwork, err = nics(r, s.Networks, spec.Count); err != nil {
		return spec, err
	}
	spec.NeedsNetwork = string(s.Networks) == `"auto"`
	if spec.Image, err = s.image(); err != nil {
		return spec, err
	}
	return spec, a.lookUp(r, s, &spec)
}

// check is for what needs no look-up.
func (s *newServer) check(r *osapi.Request) error {
	if s.Name == "" {
		return missing("name")
	}
	for _, err := range []error{
		checkName("name", s.Name), checkDescription(pointed(s.Description)), checkTags(s.Tags),
		checkAddress("accessIPv4", s.AccessIPv4, 4), checkAddress("accessIPv6", s.AccessIPv6, 6), checkDiskConfig(s.DiskConfig),
		checkUserData(s.UserData),
	} {
		if err != nil {
			return err
		}
	}
	if s.Hostname != nil {
		if err := checkHostname(r, *s.Hostname); err != nil {
			return err
		}
	}
	switch {
	case s.FlavorRef == "":
		return missing("flavorRef")
	case len(s.Personality) > 0:
		return fault.New(fault.Quota, "Personality file limit exceeded")
	case len(s.Certificates.Value) > 0:
		return fault.New(fault.Invalid, "Trusted image certificates are not supported by this server.")
	case len(s.OldMapping) > 0:
		return noVolumes
	}
	return nil
}

func checkUserData(text string) error {
	if len(text) > 65535 {
		return fault.New(fault.Invalid, "User data too large. User data must be no larger than 65535 bytes once base64 encoded. Your data is %d bytes", len(text))
	}
	if _, err := base64.StdEncoding.DecodeString(text); err != nil {
		return fault.New(fault.Invalid, "User data needs to be valid base 64.")
	}
	return nil
}

func pointed(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

var noVolumes = fault.New(fault.Invalid, "Block Device Mapping is Invalid: this cloud has no volumes yet; servers start from an image on the machine's own disk.")

// destination reads the zone, and which machine it has to be where an admin says so: in the field host or
// hypervisor_hostname, or as zone:host or zone:host:node. The two are the same, a machine's id or name.
func (a *api) destination(r *osapi.Request, s *newServer, spec *instance.Spec) error {
	zone, forced, _ := strings.Cut(s.Zone, ":")
	host, node, _ := strings.Cut(forced, ":")
	spec.Zone = zone
	for _, ident := range []string{host, node, s.Host, s.Hypervisor} {
		if ident == "" {
			continue
		}
		if !r.Caller.IsAdmin() {
			return fault.New(fault.Forbidden, "Policy doesn't allow os_compute_api:servers:create:requested_destination to be performed.")
		}
		m, err := a.Machines.Get(r.Context(), a.DB, ident)
		if fault.Is(err, fault.NotFound) || err == nil && spec.Machine != "" && spec.Machine != m.ID {
			return fault.New(fault.Invalid, "Compute host %s could not be found.", clip(ident))
		}
		if err != nil {
			return err
		}
		spec.Machine = m.ID
	}
	return nil
}

func (s *newServer) count() (int, error) {
	least, most := 1, 1
	if s.MinCount != nil {
		least = int(*s.MinCount)
		most = least
	}
	if s.MaxCount != nil {
		most = int(*s.MaxCount)
	}
	switch {
	case least < 1:
		return 0, invalid("min_count", least, "It is less than the minimum of 1")
	case most < 1:
		return 0, invalid("max_count", most, "It is less than the minimum of 1")
	case least > most:
		return 0, fault.New(fault.Invalid, "min_count must be <= max_count")
	case least > mostAtOnce:
		return 0, fault.New(fault.Quota, "Quota exceeded for instances: Requested %d, but one request can make at most %d", least, mostAtOnce)
	}
	return min(most, mostAtOnce), nil
}

// image is the one that imageRef or the block device mapping names.
func (s *newServer) image() (string, error) {
	id := s.ImageRef
	for _, device := range s.Mapping {
		if device.Source != "image" || device.Destination != "local" && device.Destination != "" {
			return "", noVolumes
		}
		if device.BootIndex == nil || *device.BootIndex != 0 || len(s.Mapping) > 1 || id != "" && id != device.UUID {
			return "", fault.New(fault.Invalid, "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping combination is not valid.")
		}
		id = device.UUID
	}
	if id == "" {
		return "", fault.New(fault.Invalid, "Invalid imageRef provided.")
	}
	if checkUUID("imageRef", id) != nil {
		return "", fault.New(fault.Invalid, "Invalid imageRef provided.")
	}
	return id, nil
}

// lookUp finds flavor, image and key, with the errors that Nova gives at create for what is missing.
func (a *api) lookUp(r *osapi.Request, s *newServer, spec *instance.Spec) (err error) {
	ctx := r.Context()
	spec.Flavor, err = a.Flavors.Get(ctx, flavorViewer(r), string(s.FlavorRef))
	if fault.Is(err, fault.NotFound) || err == nil && spec.Flavor.Disabled {
		return fault.New(fault.Invalid, "Flavor %s could not be found.", clip(string(s.FlavorRef)))
	}
	if err != nil {
		return err
	}
	img, err := a.Images.Get(ctx, image.Caller{Project: r.Caller.ProjectID, Admin: r.Caller.IsAdmin()}, spec.Image)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.Invalid, "Can not find requested image")
	}
	if err != nil {
		return err
	}
	if err := fits(&spec.Flavor, &img); err != nil || s.KeyName == "" {
		return err
	}
	key, err := a.Keypairs.Get(ctx, r.Caller.UserID, s.KeyName)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.Invalid, "Invalid key_name provided.")
	}
	spec.PublicKey = key.PublicKey
	return err
}

// fits checks the image against the flavor, in Nova's words (nova/exception.py).
func fits(f *flavor.Flavor, img *image.Image) error {
	disk := int64(f.Disk) << 30
	switch {
	case img.Status != image.Active:
		return fault.New(fault.Invalid, "Image %s is not active.", img.ID)
	case int64(f.RAM) < img.MinRAM:
		return fault.New(fault.Invalid, "Flavor's memory is too small for requested image.")
	case disk == 0: // as large as the machine's
		return nil
	case disk < img.VirtualSize:
		return fault.New(fault.Invalid, "Flavor's disk is too small for requested image. Flavor disk is %d bytes, image is %d bytes.", disk, img.VirtualSize)
	case disk < img.MinDisk<<30:
		return fault.New(fault.Invalid, "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is %d bytes, minimum size is %d bytes.", disk, img.MinDisk<<30)
	}
	return nil
}

// taggedNICs are the versions in which networks have tags; Nova lost them for a while.
var taggedNICs = []osapi.Span{{Since: osapi.V(2, 32), Until: osapi.V(2, 36)}, osapi.Since(2, 42)}

// nics reads the field networks: "auto", "none", or a list; until 2.36 it may be absent, which means auto.
func nics(r *osapi.Request, raw json.RawMessage, count int) (list []instance.NIC, auto bool, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		if r.Version.AtLeast(2, 37) {
			return nil, false, missing("networks")
		}
		return nil, true, nil
	}
	var word string
	if json.Unmarshal(raw, &word) == nil {
		if (word == "auto" || word == "none") && r.Version.AtLeast(2, 37) {
			return nil, word == "auto", nil
		}
		return nil, false, invalid("networks", strconv.Quote(clip(word)), "It is 'auto', 'none' (both since 2.37) or a list.")
	}
	var asked []struct {
		UUID    *string `json:"uuid"`
		Port    *string `json:"port"`
		FixedIP *string `json:"fixed_ip"`
		Tag     *string `json:"tag"`
	}
	if err := osapi.Strict(raw, &asked); err != nil {
		return nil, false, err
	}
	seen := map[string]bool{}
	for _, n := range asked {
		nic := instance.NIC{Port: pointed(n.Port), Network: pointed(n.UUID)}
		id := nic.Port
		if id == "" {
			id = nic.Network
		}
		if err := checkUUID("networks", id); err != nil {
			return nil, false, err
		}
		if n.FixedIP != nil {
			if nic.FixedIP, err = netip.ParseAddr(*n.FixedIP); err != nil {
				return nil, false, invalid("fixed_ip", strconv.Quote(clip(*n.FixedIP)), "It is not an IP address.")
			}
		}
		if nic.Tag = pointed(n.Tag); n.Tag != nil {
			if err := checkDeviceTag(r, nic.Tag, taggedNICs...); err != nil {
				return nil, false, err
			}
		}
		switch {
		case nic.Port != "" && nic.FixedIP.IsValid():
			return nil, false, fault.New(fault.Invalid, "Specified Fixed IP '%s' cannot be used with port '%s': the two cannot be specified together.", nic.FixedIP, nic.Port)
		case nic.Port != "" && seen[nic.Port]:
			return nil, false, fault.New(fault.Invalid, "Duplicate port %s.", nic.Port)
		case nic.Port != "" && count > 1:
			return nil, false, fault.New(fault.Invalid, "Unable to launch multiple instances with a single configured port ID. Please launch your instance one by one with different ports.")
		case nic.FixedIP.IsValid() && count > 1:
			return nil, false, fault.New(fault.Invalid, "max_count cannot be greater than 1 if an fixed_ip is specified.")
		}
		seen[nic.Port] = true
		list = append(list, nic)
	}
	return list, len(asked) == 0, nil // Nova takes an empty list for auto
}
