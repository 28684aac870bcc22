package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

func issueToken(_ context.Context, s *side) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		_, err := s.identity.do(ctx, http.MethodPost, "/auth/tokens", s.login, nil)
		return err
	}, nil
}

// token of the administrator.
func (s *side) token(ctx context.Context) (string, error) {
	header, err := s.identity.do(ctx, http.MethodPost, "/auth/tokens", s.login, nil)
	return header.Get("X-Subject-Token"), err
}

func validateToken(ctx context.Context, s *side) (func(context.Context) error, error) {
	token, err := s.token(ctx)
	if err != nil {
		return nil, err
	}
	c := s.identity.with("X-Subject-Token", token)
	return func(ctx context.Context) error {
		_, err := c.do(ctx, http.MethodGet, "/auth/tokens", nil, nil)
		return err
	}, nil
}

func createNode(_ context.Context, s *side) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		_, err := s.baremetal.do(ctx, http.MethodPost, "/v1/nodes", object{
			"driver": "fake-hardware", "name": "bench-" + uuid.NewString(), "resource_class": "bench",
			"properties": object{"cpus": 8, "memory_mb": 16384, "local_gb": 500, "cpu_arch": "x86_64"},
		}, nil)
		return err
	}, nil
}

func listNodes(_ context.Context, s *side) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		var list struct {
			Nodes []object `json:"nodes"`
		}
		_, err := s.baremetal.do(ctx, http.MethodGet, "/v1/nodes?limit=100", nil, &list)
		if err == nil && len(list.Nodes) != 100 {
			err = fmt.Errorf("the list has %d nodes", len(list.Nodes))
		}
		return err
	}, nil
}

func getNode(ctx context.Context, s *side) (func(context.Context) error, error) {
	var list struct {
		Nodes []struct {
			ID string `json:"uuid"`
		} `json:"nodes"`
	}
	if _, err := s.baremetal.do(ctx, http.MethodGet, "/v1/nodes?limit=1", nil, &list); err != nil {
		return nil, err
	}
	if len(list.Nodes) != 1 {
		return nil, errors.New("there is no node")
	}
	path := "/v1/nodes/" + list.Nodes[0].ID
	return func(ctx context.Context) error {
		_, err := s.baremetal.do(ctx, http.MethodGet, path, nil, nil)
		return err
	}, nil
}

// bootServer orders a server and looks four times a second whether it is there.
func bootServer(_ context.Context, s *side) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		var made struct {
			Server server `json:"server"`
		}
		if _, err := s.compute.do(ctx, http.MethodPost, "/servers", s.order, &made); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		for {
			if _, err := s.compute.do(ctx, http.MethodGet, "/servers/"+made.Server.ID, nil, &made); err != nil {
				return err
			}
			switch made.Server.Status {
			case "ACTIVE":
				return nil
			case "ERROR":
				return fmt.Errorf("server %s is in error", made.Server.ID)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(250 * time.Millisecond):
			}
		}
	}, nil
}

func listServers(_ context.Context, s *side) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		var list struct {
			Servers []object `json:"servers"`
		}
		_, err := s.compute.do(ctx, http.MethodGet, fmt.Sprintf("/servers/detail?limit=%d", servers), nil, &list)
		if err == nil && len(list.Servers) != servers {
			err = fmt.Errorf("the list has %d servers", len(list.Servers))
		}
		return err
	}, nil
}
