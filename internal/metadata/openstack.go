package metadata

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
)

// The versions in which the form grew (nova/api/metadata/base.py), oldest first. "latest" is the last.
const (
	folsom    = "2012-08-10"
	grizzly   = "2013-04-04" // random_seed, password
	havana    = "2013-10-17" // vendor_data.json
	liberty   = "2015-10-15" // network_data.json, project_id
	newtonOne = "2016-06-30" // devices
	newtonTwo = "2016-10-06" // vendor_data2.json
	ocata     = "2017-02-22"
	rocky     = "2018-08-27"
	victoria  = "2020-10-14" // dedicated_cpus
)

var openstackVersions = []string{folsom, grizzly, havana, liberty, newtonOne, newtonTwo, ocata, rocky, victoria}

const latest = "latest"

// The files of OpenStack's form.
const (
	metaDataFile    = "meta_data.json"
	userDataFile    = "user_data"
	passwordFile    = "password"
	vendorDataFile  = "vendor_data.json"
	networkDataFile = "network_data.json"
	vendorData2File = "vendor_data2.json"
)

// openstackFiles lists the files of a version in Nova's order.
func (c *Content) openstackFiles(version string) []string {
	files := []string{metaDataFile}
	if c.UserData != nil {
		files = append(files, userDataFile)
	}
	for _, added := range []struct{ since, file string }{{grizzly, passwordFile}, {havana, vendorDataFile}, {liberty, networkDataFile}, {newtonTwo, vendorData2File}} {
		if version >= added.since {
			files = append(files, added.file)
		}
	}
	return files
}

// openstackFile is the text of one of them. The password is empty, as it is with Nova where none was posted.
func (c *Content) openstackFile(version, file string) ([]byte, error) {
	var v any
	switch file {
	case userDataFile:
		return c.UserData, nil
	case passwordFile:
		return []byte{}, nil
	case metaDataFile:
		v = c.metaData(version)
	case networkDataFile:
		v = c.NetworkData
	case vendorDataFile:
		v = struct{}{}
	case vendorData2File:
		v = map[string]any{"static": struct{}{}}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return text, nil
}

func (c *Content) metaData(version string) map[string]any {
	m := map[string]any{"uuid": c.ID, "name": c.Name, "hostname": c.Hostname, "availability_zone": c.Zone, "launch_index": c.LaunchIndex}
	if len(c.Properties) > 0 {
		m["meta"] = c.Properties
	}
	if c.PublicKey != "" {
		m["public_keys"] = map[string]string{c.KeyName: c.PublicKey}
		m["keys"] = []map[string]string{{"name": c.KeyName, "type": c.keyType(), "data": c.PublicKey}}
	}
	if version >= grizzly && c.Seed != nil {
		m["random_seed"] = base64.StdEncoding.EncodeToString(c.Seed)
	}
	if version >= liberty {
		m["project_id"] = c.Project
	}
	if version >= newtonOne {
		m["devices"] = c.devices()
	}
	if version >= victoria {
		m["dedicated_cpus"] = []int{}
	}
	return m
}

// Drive is the content of the config drive, file by path: the newest form, and the newest that cloud-init asks for by name.
func (c *Content) Drive() (map[string][]byte, error) {
	files := map[string][]byte{}
	for dir, version := range map[string]string{latest: openstackVersions[len(openstackVersions)-1], rocky: rocky} {
		for _, file := range c.openstackFiles(version) {
			if file == passwordFile {
				continue // there is nobody to post it to
			}
			text, err := c.openstackFile(version, file)
			if err != nil {
				return nil, err
			}
			files["openstack/"+dir+"/"+file] = text
		}
	}
	return files, nil
}

// openstack gives what is at /openstack/PATH, and whether anything is.
func (c *Content) openstack(path []string) (answer, bool, error) {
	if len(path) == 0 {
		return lines(append(slices.Clone(openstackVersions), latest)), true, nil
	}
	version := path[0]
	if version == latest {
		version = openstackVersions[len(openstackVersions)-1]
	}
	if !slices.Contains(openstackVersions, version) || len(path) > 2 {
		return answer{}, false, nil
	}
	files := c.openstackFiles(version)
	if len(path) == 1 {
		return lines(files), true, nil
	}
	if !slices.Contains(files, path[1]) {
		return answer{}, false, nil
	}
	text, err := c.openstackFile(version, path[1])
	return answer{kindOf(path[1]), text}, true, err
}
