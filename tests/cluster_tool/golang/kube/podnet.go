package main

// The Pod network of a kind cluster, in its smallest form. On each node it writes the CNI configuration from the node's
// podCIDR, keeps routes to the Pod ranges of the other nodes, and masquerades what leaves the Pod network.
// It enforces no NetworkPolicy.
//
// Environment: NODE_NAME, POD_SUBNET; CONTROL_PLANE_ENDPOINT (optional; kind sets it, so that the Pod network does not
// wait for kube-proxy). Runs on the node's own network.

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	configPath   = "/etc/cni/net.d/10-podnet.conflist"
	rounds       = 2 * time.Second
	afterFailure = time.Second
)

func podnet() {
	config, err := rest.InClusterConfig()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	config.Timeout = 10 * time.Second
	if endpoint := os.Getenv("CONTROL_PLANE_ENDPOINT"); endpoint != "" {
		config.Host = "https://" + endpoint
	}
	client := kubernetes.NewForConfigOrDie(config)
	for {
		if err := reconcile(client, os.Getenv("NODE_NAME"), os.Getenv("POD_SUBNET")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			time.Sleep(afterFailure)
			continue
		}
		time.Sleep(rounds)
	}
}

func reconcile(client kubernetes.Interface, self, podSubnet string) error {
	nodes, err := client.CoreV1().Nodes().List(context.Background(), metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	if err := masquerade(podSubnet); err != nil {
		return err
	}
	for _, node := range nodes.Items {
		switch {
		case node.Spec.PodCIDR == "":
		case node.Name == self:
			err = writeConfig(node.Spec.PodCIDR)
		default:
			err = routeTo(node)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func masquerade(podSubnet string) error {
	rule := []string{"POSTROUTING", "-s", podSubnet, "!", "-d", podSubnet,
		"-m", "comment", "--comment", "podnet", "-j", "MASQUERADE"}
	table := []string{"iptables", "-w", "-t", "nat"}
	if run(append(append(table, "-C"), rule...)...) == nil {
		return nil
	}
	return run(append(append(table, "-A"), rule...)...)
}

func writeConfig(podCIDR string) error {
	config := fmt.Sprintf(`{"cniVersion": "0.4.0", "name": "podnet", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "mtu": 1500,
   "ipam": {"type": "host-local", "dataDir": "/run/podnet",
            "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
`, podCIDR)
	if old, _ := os.ReadFile(configPath); string(old) == config {
		return nil
	}
	if err := os.WriteFile(configPath+".tmp", []byte(config), 0o644); err != nil {
		return err
	}
	return os.Rename(configPath+".tmp", configPath)
}

func routeTo(node corev1.Node) error {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return run("ip", "route", "replace", node.Spec.PodCIDR, "via", address.Address)
		}
	}
	return nil
}

func run(words ...string) error {
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", words, err, out)
	}
	return nil
}
