// Reads Kubernetes manifests into the types of their API, strictly: an unknown field, a wrong type or a kind
// that is not in the list is a mistake, and so is a pod that the restricted Pod Security Standard refuses.
// A file called compose.yaml is read as Compose reads it, and the files and folders that it mounts have to
// be there. Nothing is asked over the network.
//
//	go run . FILE...
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	kube "k8s.io/apimachinery/pkg/util/yaml"
	security "k8s.io/pod-security-admission/api"
	standards "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// An empty value of each kind that the manifests may hold.
var kinds = map[string]func() any{
	"v1 ConfigMap":                            func() any { return &core.ConfigMap{} },
	"v1 Secret":                               func() any { return &core.Secret{} },
	"v1 Service":                              func() any { return &core.Service{} },
	"v1 ServiceAccount":                       func() any { return &core.ServiceAccount{} },
	"apps/v1 StatefulSet":                     func() any { return &apps.StatefulSet{} },
	"policy/v1 PodDisruptionBudget":           func() any { return &policy.PodDisruptionBudget{} },
	"networking.k8s.io/v1 NetworkPolicy":      func() any { return &networking.NetworkPolicy{} },
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
	"monitoring.coreos.com/v1 PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
	"keda.sh/v1alpha1 ScaledObject":           func() any { return &keda.ScaledObject{} },
}

type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
}

func decode(document []byte) (string, error) {
	var is head
	if err := yaml.Unmarshal(document, &is); err != nil {
		return "", err
	}
	if is.Kind == "" {
		return "", nil
	}
	name := is.APIVersion + " " + is.Kind
	shown := name + " " + is.Metadata.Name
	empty, known := kinds[name]
	if !known {
		return shown, errors.New("a kind that this check does not know")
	}
	object := empty()
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		return shown, err
	}
	if set, is := object.(*apps.StatefulSet); is {
		return shown, restricted(&set.Spec.Template)
	}
	return shown, nil
}

func restricted(pod *core.PodTemplateSpec) error {
	evaluator, err := standards.NewEvaluator(standards.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	level := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
	result := standards.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
	if !result.Allowed {
		return fmt.Errorf("restricted: %s", result.ForbiddenDetail())
	}
	return nil
}

func check(path string) (documents, mistakes int) {
	content, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 0, 1
	}
	reader := kube.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := reader.Read()
		if err == io.EOF {
			return
		}
		name := "a document"
		if err == nil {
			name, err = decode(document)
		}
		if err != nil {
			fmt.Printf("%s: %s: %v\n", path, name, err)
			mistakes++
		} else if name != "" {
			documents++
		}
	}
}

func compose(path string) (services, mistakes int) {
	options, err := cli.NewProjectOptions([]string{path}, cli.WithEnv([]string{"KAFKAMQ_TOKEN=test"}))
	if err != nil {
		fmt.Println(err)
		return 0, 1
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		fmt.Println(err)
		return 0, 1
	}
	for name, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type != "bind" {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil {
				fmt.Printf("%s: %s: %v\n", path, name, err)
				mistakes++
			}
		}
		services++
	}
	return
}

func main() {
	documents, mistakes := 0, 0
	for _, path := range os.Args[1:] {
		read := check
		if filepath.Base(path) == "compose.yaml" {
			read = compose
		}
		good, bad := read(path)
		documents += good
		mistakes += bad
	}
	fmt.Printf("%d objects and services are what their API takes, %d are not\n", documents, mistakes)
	if mistakes > 0 || documents == 0 {
		os.Exit(1)
	}
}
