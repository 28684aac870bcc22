package metadata

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ec2Versions are those that Nova knows (nova/api/metadata/base.py), oldest first. "latest" is the last.
var ec2Versions = []string{"1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04"}

// tree is a folder of EC2's form: its values are folders, texts, and lists of lines.
type tree map[string]any

// keyFolder is the folder of a key, which its parent lists by a title of its own: 0=name.
type keyFolder struct {
	title string
	tree
}

// ec2Tree is the whole form. Nova also tells a block device mapping, out of which nothing follows for a machine whose disks have
// names of their own; it is left out.
func (c *Content) ec2Tree(version string) tree {
	meta := tree{
		"ami-id": "ami-" + short(c.Image), "ami-launch-index": strconv.Itoa(c.LaunchIndex), "ami-manifest-path": "FIXME", // Nova's word
		"instance-id": "i-" + short(c.ID), "hostname": c.Hostname, "local-ipv4": address(c.LocalIPv4),
		"reservation-id": c.Reservation, "security-groups": c.SecurityGroups,
	}
	if c.PublicKey != "" {
		meta["public-keys"] = tree{"0": keyFolder{"0=" + c.KeyName, tree{"openssh-key": c.PublicKey}}}
	}
	if version >= "2007-01-19" {
		meta["local-hostname"], meta["public-hostname"], meta["public-ipv4"] = c.Hostname, c.Hostname, address(c.PublicIPv4)
	}
	if version >= "2007-08-29" {
		meta["instance-type"] = c.Flavor
	}
	if version >= "2008-02-01" {
		meta["placement"] = tree{"availability-zone": c.Zone}
	}
	if version >= "2008-09-01" {
		meta["instance-action"] = "none"
	}
	all := tree{"meta-data": meta}
	if c.UserData != nil {
		all["user-data"] = string(c.UserData)
	}
	return all
}

// short makes the eight digits of EC2's ids. Nova counts; ours follow from the UUID, so that every process gives the same.
func short(id string) string {
	digits := strings.ReplaceAll(id, "-", "")
	return digits[:min(8, len(digits))]
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// ec2 gives what is at /PATH, and whether anything is.
func (c *Content) ec2(path []string) (answer, bool) {
	if len(path) == 0 {
		return lines(append(slices.Clone(ec2Versions), latest)), true
	}
	version := path[0]
	if version == latest {
		version = ec2Versions[len(ec2Versions)-1]
	}
	if !slices.Contains(ec2Versions, version) {
		return answer{}, false
	}
	var at any = c.ec2Tree(version)
	for _, name := range path[1:] {
		if key, ok := at.(keyFolder); ok {
			at = key.tree
		}
		folder, ok := at.(tree)
		if !ok {
			return answer{}, false
		}
		if at, ok = folder[name]; !ok {
			return answer{}, false
		}
	}
	switch v := at.(type) {
	case tree:
		return lines(v.list()), true
	case keyFolder:
		return lines(v.list()), true
	case []string:
		return lines(v), true
	case string:
		return answer{text, []byte(v)}, true
	}
	return answer{}, false
}

// list names what is in the folder, with a slash behind folders.
func (t tree) list() []string {
	var names []string
	for name, v := range t {
		switch v := v.(type) {
		case tree:
			name += "/"
		case keyFolder:
			name = v.title
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
