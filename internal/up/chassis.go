package up

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/ingotcloud/ingot/internal/lab"
)

const metadataSecret = "metadata-secret"

// configureMetadata has the control plane answer the chassis of the rack's OVN. The secret is drawn once.
func (s *site) configureMetadata(ovn map[string]any) error {
	secret, err := os.ReadFile(s.path(metadataSecret))
	if errors.Is(err, os.ErrNotExist) {
		secret = []byte(rand.Text() + "\n")
		err = os.WriteFile(s.path(metadataSecret), secret, 0o600)
	}
	if err != nil {
		return err
	}
	ovn["metadata_secret"] = strings.TrimSpace(string(secret))
	ovn["metadata_listen"], err = freeAddress(ovn["metadata_listen"], "127.0.0.1:0")
	return err
}

// chassis are the programs beside the rack's Open vSwitches. They stand outside of the chassis' own namespaces, from which
// there is no way to the control plane.
func (s *site) chassis() (all []daemon) {
	rack, err := lab.ReadDescription(s.path("lab"))
	if err != nil {
		return nil
	}
	url, pin := s.metadataDoor()
	for _, ch := range rack.OVN.Chassis {
		base := "chassis-" + ch.Name
		all = append(all, daemon{"the program of chassis " + ch.Name, s.path(base + ".pid"), s.path(base + ".log"), s.program, ch.Netns,
			[]string{"chassis", "--ovs", ch.OVS, "--netns", ch.Netns, "--name", ch.Netns, "--url", url, "--pin", pin, "--secret-file", s.path(metadataSecret)}})
	}
	return all
}

// metadataDoor is where the control plane listens, and the pin of its key; empty before its first start.
func (s *site) metadataDoor() (url, pin string) {
	var c struct {
		OVN struct {
			Listen string `yaml:"metadata_listen"`
		} `yaml:"ovn"`
	}
	text, err := os.ReadFile(s.path(configFile))
	if err != nil || yaml.Unmarshal(text, &c) != nil {
		return "", ""
	}
	pair, err := tls.LoadX509KeyPair(s.path("agent-door.pem"), s.path("agent-door.pem"))
	if err != nil {
		return "", ""
	}
	sum := sha256.Sum256(pair.Leaf.RawSubjectPublicKeyInfo)
	return "https://" + c.OVN.Listen, hex.EncodeToString(sum[:])
}

func (s *site) startChassis(context.Context) error {
	for _, d := range s.chassis() {
		if err := d.start(); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		s.show.note("%s runs", d.name)
	}
	return nil
}
