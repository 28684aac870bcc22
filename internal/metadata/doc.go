// Package metadata is what a server is told about itself, in the forms that cloud-init and its kin read: OpenStack's tree
// (/openstack/VERSION/meta_data.json …) and EC2's (/VERSION/meta-data/…), as Nova serves them.
//
//	content.go    Content: what there is to tell
//	openstack.go  its OpenStack form, which the config drive is made of too
//	ec2.go        its EC2 form
//	handler.go    the HTTP service at http://169.254.169.254
//	caller.go     who asks, and how a chassis vouches for that
//
// Who asks is known by the network and the source address alone, since a server has nothing else before it has read this.
// Port security keeps others from sending from that address, and the chassis' program (internal/chassis) that accepted
// the connection says on which network that was, under a signature: tenants choose their addresses freely, so the same
// address is another server on another network.
package metadata
