package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// check names every mistake in the part ovn.
func (o *OVN) check() (mistakes []mistake) {
	wrong := func(key, format string, args ...any) {
		mistakes = append(mistakes, mistake{"ovn." + key, fmt.Sprintf(format, args...)})
	}
	if o.NB == "" && o.SB != "" {
		wrong("sb", "nb and sb belong together")
	}
	if o.SB == "" && o.NB != "" {
		wrong("nb", "nb and sb belong together")
	}
	if o.Pretend && (o.NB != "" || o.SB != "") {
		wrong("pretend", "it stands in place of nb and sb")
	}
	secure := false
	for _, database := range []struct{ key, list string }{{"nb", o.NB}, {"sb", o.SB}} {
		if database.list == "" {
			continue
		}
		for endpoint := range strings.SplitSeq(database.list, ",") {
			endpoint = strings.TrimSpace(endpoint)
			if !isEndpoint(endpoint) {
				wrong(database.key, "%q is not unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT", endpoint)
			}
			secure = secure || strings.HasPrefix(endpoint, "ssl:")
		}
	}
	if files := [...]string{o.TLS.Cert, o.TLS.Key, o.TLS.CA}; files != [3]string{} {
		for _, file := range files {
			if file == "" {
				wrong("tls", "cert, key and ca belong together")
				break
			}
		}
	} else if secure {
		wrong("tls", "an endpoint with ssl: needs cert, key and ca")
	}
	if o.Owner == "" || strings.ContainsAny(o.Owner, " \t\r\n\x00") {
		wrong("owner", "it must be a word, not %q", o.Owner)
	}
	if (o.MetadataListen == "") != (o.MetadataSecret == "") {
		wrong("metadata_listen", "metadata_listen and metadata_secret belong together")
	}
	if _, _, err := net.SplitHostPort(o.MetadataListen); err != nil && o.MetadataListen != "" {
		wrong("metadata_listen", "it must be host:port: %v", err)
	}
	if n := len(o.MetadataSecret); n > 0 && n < leastSecret {
		wrong("metadata_secret", "%d characters are too few; it needs %d", n, leastSecret)
	}
	if strings.ContainsAny(o.ExternalPhysical, " :,\t\r\n\x00") { // as in ovn-bridge-mappings
		wrong("external_physical", "%q is no name of a physical network", o.ExternalPhysical)
	}
	return mistakes
}

// leastSecret keeps secrets from being words.
const leastSecret = 20

// Load reads the files; nil when none is named.
func (t OVNTLS) Load() (*tls.Config, error) {
	if t.Cert == "" && t.CA == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("ovn.tls: %w", err)
	}
	text, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, fmt.Errorf("ovn.tls.ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ovn.tls.ca: %s has no certificate", t.CA)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

func isEndpoint(text string) bool {
	kind, address, _ := strings.Cut(text, ":")
	switch kind {
	case "unix":
		return filepath.IsAbs(address)
	case "tcp", "ssl":
		host, port, err := net.SplitHostPort(address)
		return err == nil && host != "" && port != ""
	}
	return false
}
