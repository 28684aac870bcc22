// Package lab is the virtual rack: QEMU machines that behave as bare metal does, with virtual BMCs in front, on a
// network of their own.
//
// A rack is declared in a file (rack.go) and lives in a folder: disks, firmware variables, serial logs, sockets, and
// lab.json, which says everything that an operator needs to enrol the machines (description.go). Start brings it up:
// a network namespace for the control plane, a tap per NIC (tap.go) and what joins them, an Open Virtual Network
// (fabric.go); a Machine per declared machine (machine.go), which runs a QEMU (qemu.go) with the command
// line that its next boot asks for (commandline.go), and a BMC server for each (bmc.go). Users reach into the networks
// through a socket, without being root (dial.go), and order the rack through another (control.go); cli.go has the commands.
//
// A QEMU outlives the lab's process on purpose: after a kill -9 the next Start in the same folder adopts those that
// still fit the rack and ends the others. Close ends all of them and removes the network.
package lab
