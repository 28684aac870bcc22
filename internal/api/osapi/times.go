package osapi

import "time"

// The forms in which services write times, always UTC. A zero time is null.

// Zulu is 2026-11-22T13:44:04Z (Nova, Glance, Neutron).
func Zulu(t time.Time) any { return written(t, "2006-01-02T15:04:05Z") }

// ZuluMicro is 2026-11-22T13:44:04.123456Z (Keystone).
func ZuluMicro(t time.Time) any { return written(t, "2006-01-02T15:04:05.000000Z") }

// Offset is 2026-11-22T13:44:04+00:00 (Ironic).
func Offset(t time.Time) any { return written(t, "2006-01-02T15:04:05+00:00") }

// Naive is 2026-11-22T13:44:04.123456 (Cinder; Nova in OS-SRV-USG and os-services).
func Naive(t time.Time) any { return written(t, "2006-01-02T15:04:05.000000") }

func written(t time.Time, layout string) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(layout)
}
