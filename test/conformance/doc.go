// Package conformance runs other people's tests of OpenStack, unmodified, against an ingot whose machines are simulated
// at the BMC and agent protocols (internal/lab/sim). cloud_test.go brings such a cloud up, tempestconf_test.go tells
// Tempest what ingot announces of itself, tempest_test.go runs it and compares with tempest.failing: the tests that fail,
// each with the reason. That file only shrinks: a test in it that passes fails the run, and so does a failure that is not
// in it.
//
//	go test ./test/conformance                               the fast subset (tempest.fast), as CI does
//	make conformance                                         every suite
//	make conformance RUN='^tempest\.api\.image'              one of them
//
// horizon_test.go opens OpenStack's own dashboard (horizon/) in a browser: every page that horizon.panels has, and what
// people do most, by clicks; what fails is in horizon.failing. CI does a little of it (horizonFast), which takes a minute
// and a half, and two more where Horizon's root folder is not in the cache yet:
//
//	make horizon                                             every page and story, in three minutes
//	make horizon RUN='^story launch'                         one of them
//	make horizon RACK=1                                      the consoles of a machine of QEMU's that boots
//
// Screenshots are kept in build/horizon.
//
// Tempest's own sleeps make the network suite long: -tempest.workers=10 is a third of the time. With Debian's package
// neutron-tempest-plugin its tests run too: -tempest.run='^neutron_tempest_plugin\.api'.
package conformance
