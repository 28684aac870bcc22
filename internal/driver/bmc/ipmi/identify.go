package ipmi

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/types"
	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/machine"
)

// Identify reads the device id (IPMI 2.0 20.1), the system's GUID (22.14) and the built-in FRU (chapter 34). BMCs
// without GUID or FRU leave those fields empty. IPMI tells no BIOS version, boot mode or NICs.
func (d *driver) Identify(ctx context.Context) (machine.Identity, error) {
	var id machine.Identity
	err := d.call(ctx, "Identify", func(ctx context.Context, c *client.Client) error {
		device, err := c.GetDeviceID(ctx)
		if err != nil {
			return err
		}
		id = machine.Identity{BMCFirmware: fmt.Sprintf("%d.%02x", device.MajorFirmwareRevision, device.MinorFirmwareRevision)}

		switch guid, err := c.GetSystemGUID(ctx); {
		case err == nil:
			id.UUID = systemUUID(guid.GUID)
		case unanswered(err):
			return err
		}
		switch fru, err := c.GetFRU(ctx, 0, ""); {
		case err == nil:
			fromFRU(&id, fru)
		case unanswered(err):
			return err
		}
		return nil
	})
	return id, err
}

// systemUUID finds out which of three byte orders the BMC uses: most give SMBIOS's bytes, some obey the specification
// (all bytes reversed), a few write the UUID as it is read. The first that gives a well-formed UUID is taken; empty
// when none does.
func systemUUID(guid [16]byte) string {
	for _, mode := range []types.GUIDMode{types.GUIDModeSMBIOS, types.GUIDModeIPMI, types.GUIDModeRFC4122} {
		u, err := types.ParseGUID(guid[:], mode)
		if err == nil && u.Variant() == uuid.RFC4122 && u.Version() >= 1 && u.Version() <= 8 {
			return u.String()
		}
	}
	return ""
}

// fromFRU prefers the product's data to the board's: the product is what was sold.
func fromFRU(id *machine.Identity, fru *types.FRU) {
	var product types.FRUProductInfoArea
	if fru.ProductInfoArea != nil {
		product = *fru.ProductInfoArea
	}
	var board types.FRUBoardInfoArea
	if fru.BoardInfoArea != nil {
		board = *fru.BoardInfoArea
	}
	id.Vendor = cmp.Or(text(product.Manufacturer), text(board.Manufacturer))
	id.Model = cmp.Or(text(product.Name), text(board.ProductName))
	id.Serial = cmp.Or(text(product.SerialNumber), text(board.SerialNumber))
}

// text strips what manufacturers fill their fixed-width fields with.
func text(b []byte) string { return strings.Trim(string(b), " \x00") }
