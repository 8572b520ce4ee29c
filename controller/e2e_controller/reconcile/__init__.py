"""Makes true what manifests ask for, a key at a time, from a fresh look each time.

`reconciler` takes keys from the queue. `environments` does what is to be done about networks and directories,
`containers` about workloads and jobs:

1. observe (`observe`): what runs under the key, and what its creation waits for (`dependencies`).
2. plan (`plan`, pure): from `desired` and observed to a list of typed `steps`, each with its cause.
3. execute (`execute`): through the driver, a step at a time, without decisions; how it went is an `outcome`.
4. status (`status`, pure): the conditions (`conditions`), the times of the start (`phases`), the evidence
   (`evidence`, `endings`, `tails`); `publish` stores it.

What fails comes again (`retries`), and is told as a failure when it has failed for long (`patience`). What no
container tells after a crash is in small files (`memory`).
"""
