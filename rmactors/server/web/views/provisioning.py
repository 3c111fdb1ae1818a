"""What enrolls machines that nobody sits at: user data for cloud-init, and a playbook for Ansible. Pure.

`deploy/` has both with an example's address. The token is in no address, argument or log. cloud-init needs it in the
user data; the playbook asks for it.
"""

from typing import Final

EXAMPLE_SERVER: Final = "wss://agents.example.org"
EXAMPLE_TOKEN: Final = "rme_REPLACE-THIS"  # noqa: S105 - a place to put one


def cloud_init(server: str, token: str) -> str:
    """User data that installs, enrolls and starts the agent of a new machine. YAML."""
    return f"""#cloud-config
# Installs the agent of restic-manager on a new machine, enrolls it under its host name and starts it.
# All programs on the machine can read its user data. Use a token that expires soon and has no more uses than needed.
package_update: true
packages: [restic, python3-venv]
write_files:
  - path: /etc/rmactors/enrollment-token
    permissions: "0600"
    content: |
      {token}
  - path: /etc/rmactors/agent.toml
    permissions: "0600"
    content: |
      allow = []  # what the server may start here, such as "backup"; repositories and plans follow below
runcmd:
  - |
    set -eu
    python3 -m venv /opt/rmactors
    /opt/rmactors/bin/pip install --quiet rmactors  # or the path or the URL of a wheel
    ln -sf /opt/rmactors/bin/rmactors /usr/local/bin/rmactors
    /usr/local/bin/rmactors agent enroll --server {server} --token-file /etc/rmactors/enrollment-token
    rm /etc/rmactors/enrollment-token
    /usr/local/bin/rmactors agent install --yes
"""


def playbook(server: str) -> str:
    """An Ansible playbook for many machines, which asks for the token. YAML."""
    return _PLAYBOOK.replace(EXAMPLE_SERVER, server)


_PLAYBOOK: Final = """\
# Installs the agent of restic-manager on machines, and enrolls those that are not enrolled:
#
#     ansible-playbook -i inventory agent.yml
#
# It asks for an enrollment token, which needs a use for each new machine. The token is in no file, argument or log.
- name: Agents of restic-manager
  hosts: all
  become: true
  vars:
    rmactors_server: wss://agents.example.org
    rmactors_package: rmactors  # or the path or the URL of a wheel
    rmactors_system_packages: [restic, python3-venv, python3-packaging]
    rmactors_venv: /opt/rmactors
    rmactors_command: /usr/local/bin/rmactors
    rmactors_state_dir: /var/lib/rmactors-agent
    rmactors_unit_dir: /etc/systemd/system
    rmactors_start: true
  vars_prompt:
    - name: rmactors_token
      prompt: Enrollment token
      private: true
  tasks:
    - name: Install restic and what the agent needs
      ansible.builtin.package:
        name: "{{ rmactors_system_packages }}"
      when: rmactors_system_packages | length > 0

    - name: Install the agent
      ansible.builtin.pip:
        name: "{{ rmactors_package }}"
        virtualenv: "{{ rmactors_venv }}"
        virtualenv_command: python3 -m venv

    - name: Put its command where shells find it
      ansible.builtin.file:
        src: "{{ rmactors_venv }}/bin/rmactors"
        dest: "{{ rmactors_command }}"
        state: link

    - name: Enroll the machine under its name in the inventory
      ansible.builtin.command:
        argv:
          - "{{ rmactors_command }}"
          - agent
          - enroll
          - --server={{ rmactors_server }}
          - --token-file=-
          - --name={{ inventory_hostname }}
          - --state-dir={{ rmactors_state_dir }}
        stdin: "{{ rmactors_token }}"
        creates: "{{ rmactors_state_dir }}/credential.json"
      register: rmactors_enrolled
      failed_when: false
      no_log: true

    - name: Say why it was not enrolled
      ansible.builtin.fail:
        msg: "{{ rmactors_enrolled.stderr }}"
      when: rmactors_enrolled.rc | default(0) != 0

    - name: Install the agent's service
      ansible.builtin.command:
        argv:
          - "{{ rmactors_command }}"
          - agent
          - install
          - --yes
          - --state-dir={{ rmactors_state_dir }}
          - --unit-dir={{ rmactors_unit_dir }}
          - "{{ '--start' if rmactors_start else '--no-start' }}"
        creates: "{{ rmactors_unit_dir }}/rmactors-agent.service"
"""
