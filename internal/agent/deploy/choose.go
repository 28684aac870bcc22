package deploy

import (
	"slices"

	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/deployimage"
)

// alignment of the config drive's partition, in bytes.
const alignment = 1 << 20

// Need is the size of the smallest disk that takes the image and its config drive, in bytes. With a config drive it
// counts the space that a GPT keeps at the end, and rounding.
func Need(m deployimage.Manifest, configDrive []byte) int64 {
	if len(configDrive) == 0 {
		return m.VirtualSize
	}
	return roundUp(m.VirtualSize, alignment) + roundUp(int64(len(configDrive)), alignment) + alignment
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }

// Choose gives the smallest disk that has room for need bytes and agrees with the hint. Disks on USB count only when
// the hint names one: they are virtual media or somebody's stick.
func Choose(disks []agentapi.Disk, hint agentapi.RootHint, need int64) (agentapi.Disk, error) {
	named := hint.Serial != "" || hint.WWN != "" || hint.Name != ""
	var matching []agentapi.Disk
	for _, d := range disks {
		if (hint.Serial == "" || hint.Serial == d.Serial) && (hint.WWN == "" || hint.WWN == d.WWN) &&
			(hint.Name == "" || hint.Name == d.Name) && (named || d.Bus != "usb") {
			matching = append(matching, d)
		}
	}
	if len(matching) == 0 {
		if named {
			return agentapi.Disk{}, failure.New(agentapi.FaultRequest, "This machine has no disk like the one asked for.")
		}
		return agentapi.Disk{}, failure.New(agentapi.FaultMachine, "This machine shows no disk.")
	}
	slices.SortStableFunc(matching, func(a, b agentapi.Disk) int { return int(min(max(a.Size-b.Size, -1), 1)) })
	need = max(need, hint.MinSize)
	for _, d := range matching {
		if d.Size >= need {
			return d, nil
		}
	}
	return agentapi.Disk{}, tooSmall(need, matching[len(matching)-1].Size)
}
