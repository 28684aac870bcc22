package ovn

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/ingotcloud/ingot/internal/netns"
)

// vswitch is an Open vSwitch in a namespace and a folder of its own, both called part: its database and vswitchd. Chassis
// have one, and so has a plain switch: Linux' bridge knows VLANs only where the kernel was built with them.
type vswitch struct {
	cluster *Cluster
	name    string // what its daemons' names start with
	part    string
	netns   string

	vswitchd *daemon
	daemons  []*daemon
}

func (c *Cluster) newVswitch(name, part string) vswitch {
	return vswitch{cluster: c, name: name, part: part, netns: c.namespace(part)}
}

// endpoint is the OVSDB endpoint of its database.
func (s *vswitch) endpoint() string { return "unix:" + filepath.Join(s.cluster.dir, s.part, "db.sock") }

// start brings the daemons up with that configuration, ovs-vsctl's commands; ready is what else vswitchd needs.
func (s *vswitch) start(ctx context.Context, configuration []string, ready func(context.Context) error) error {
	db, err := s.cluster.database(ctx, s.name+"/db", s.part, "db", "openvswitch/vswitch")
	if err != nil {
		return err
	}
	if err := s.keep(ctx, db); err != nil {
		return err
	}
	if _, err := s.vsctl(ctx, append([]string{"--no-wait", "init", "--"}, configuration...)...); err != nil {
		return err
	}
	if s.vswitchd, err = s.cluster.daemon(s.name+"/vswitchd", s.part, "vswitchd", "ovs-vswitchd", s.endpoint()); err != nil {
		return err
	}
	s.vswitchd.ready = ready
	return s.keep(ctx, s.vswitchd)
}

// keep has a daemon run in the namespace.
func (s *vswitch) keep(ctx context.Context, d *daemon) error {
	d.netns = s.netns
	s.daemons = append(s.daemons, d)
	return s.cluster.keep(ctx, d)
}

// options are commands of ovs-vsctl that choose the datapath, for start.
func (s *vswitch) options() []string {
	args := []string{"set", "Open_vSwitch", "."}
	if s.cluster.software.kernel {
		return append(args, "other_config={}")
	}
	// Ten times the throughput (UserspaceTSO); read when vswitchd starts.
	return append(args, "other_config:userspace-tso-enable=true")
}

// UserspaceTSO says whether the chassis' Open vSwitches run with userspace-tso-enable. Then OVN's check of packets' lengths
// (options:gateway_mtu) takes what TCP leaves to the NIC to cut for one packet that is too long.
func (c *Cluster) UserspaceTSO() bool { return !c.software.kernel }

// addBridge are commands of ovs-vsctl.
func (s *vswitch) addBridge(bridge string, settings ...string) []string {
	args := []string{"--", "--may-exist", "add-br", bridge, "--", "set", "Bridge", bridge, "datapath_type=" + s.cluster.software.datapath()}
	return append(args, settings...)
}

// vsctl runs ovs-vsctl, which waits until vswitchd has done it unless told not to.
func (s *vswitch) vsctl(ctx context.Context, args ...string) (string, error) {
	// Without a timeout it waits for ever for a vswitchd that is down.
	return s.cluster.run(ctx, s.part, "ovs-vsctl", append([]string{"--timeout=20", "--db=" + s.endpoint()}, args...)...)
}

// plug ensures that an interface of the namespace is on a bridge; settings are more commands of ovs-vsctl.
func (s *vswitch) plug(ctx context.Context, bridge, ifname string, settings ...string) error {
	index := 0
	err := netns.Do(s.netns, func() error {
		link, err := netlink.LinkByName(ifname)
		if err != nil {
			return err
		}
		index = link.Attrs().Index
		return netlink.LinkSetUp(link)
	})
	if err != nil {
		return err
	}
	// vswitchd goes on with an interface that was deleted; its namesake must be added in a transaction after the one that
	// forgets it.
	known, err := s.vsctl(ctx, "--if-exists", "get", "Interface", ifname, "ifindex")
	if err != nil {
		return err
	}
	if known != "" && known != strconv.Itoa(index) {
		if _, err := s.vsctl(ctx, "--if-exists", "del-port", ifname); err != nil {
			return err
		}
	}
	if _, err := s.vsctl(ctx, append([]string{"--may-exist", "add-port", bridge, ifname}, settings...)...); err != nil {
		return err
	}
	failure, err := s.vsctl(ctx, "get", "Interface", ifname, "error") // a wrong interface is no failed transaction
	if err != nil {
		return err
	}
	if failure != "[]" {
		return fmt.Errorf("vswitchd: %s", strings.Trim(failure, `"`))
	}
	return nil
}
