package instance

import "context"

// Progress is how much of the image of an instance that is being built is on its disk, in percent.
func (s *Service) Progress(ctx context.Context, i *Instance) (int, error) {
	run, err := s.Running(ctx, i.ID)
	if err != nil || run == nil || run.Flow != "server-create" || run.Backward {
		return 0, err
	}
	switch run.Step {
	case "boot-order", "hand-over", "start", "activate":
		return 100, nil
	case "write-image":
		if p := run.Progress; p.Total > 0 {
			return int(min(100*p.Done/p.Total, 99)), nil
		}
	}
	return 0, nil
}
