// Package instance knows what tenants run: Nova's servers. An instance has an identity (id, name, ports, keys, user
// data) apart from the machine that carries it; its workflows bring the two together (deploy.go), apart (delete.go) and
// switch it on and off (power.go).
package instance
