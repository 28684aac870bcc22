package inventory

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

// pcrs that are read: those that firmware and boot loaders extend, and the ones an operating system may.
const pcrs = 24

// tpm is nil when there is none.
func (r *Reader) tpm() *agentapi.TPM {
	switch r.number("class/tpm/tpm0/tpm_version_major") {
	case 2:
	case 1:
		return &agentapi.TPM{Version: "1.2"}
	default:
		return nil
	}
	found := &agentapi.TPM{Version: "2.0"}
	device, err := linuxtpm.Open(filepath.Join(r.Dev, "tpmrm0"))
	if err != nil {
		r.note("TPM", err)
		return found
	}
	defer device.Close()
	if found.Manufacturer, err = tpmManufacturer(device); err != nil {
		r.note("TPM manufacturer", err)
	}
	if found.PCRs, err = tpmPCRs(device); err != nil {
		r.note("TPM PCRs", err)
	}
	return found
}

// tpmManufacturer is the four letters of TPM_PT_MANUFACTURER (TPM 2.0 part 2, 6.13).
func tpmManufacturer(device transport.TPM) (string, error) {
	answer, err := tpm2.GetCapability{
		Capability:    tpm2.TPMCapTPMProperties,
		Property:      uint32(tpm2.TPMPTManufacturer),
		PropertyCount: 1,
	}.Execute(device)
	if err != nil {
		return "", err
	}
	properties, err := answer.CapabilityData.Data.TPMProperties()
	if err != nil {
		return "", err
	}
	if len(properties.TPMProperty) == 0 {
		return "", fmt.Errorf("it does not tell")
	}
	letters := binary.BigEndian.AppendUint32(nil, properties.TPMProperty[0].Value)
	return strings.Trim(string(letters), " \x00"), nil
}

// tpmPCRs reads the SHA-256 bank; a TPM gives at most eight at once, and may give fewer.
func tpmPCRs(device transport.TPM) (map[string]string, error) {
	values := map[string]string{}
	for pcr := uint(0); pcr < pcrs; pcr++ {
		answer, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{
			Hash:      tpm2.TPMAlgSHA256,
			PCRSelect: tpm2.PCClientCompatible.PCRs(pcr),
		}}}}.Execute(device)
		if err != nil {
			return values, fmt.Errorf("reading PCR %d: %w", pcr, err)
		}
		if len(answer.PCRValues.Digests) == 1 {
			values[strconv.Itoa(int(pcr))] = hex.EncodeToString(answer.PCRValues.Digests[0].Buffer)
		}
	}
	return values, nil
}
