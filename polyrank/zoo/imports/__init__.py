"""Modules in the formats of other projects: one file per format, to read and to write.

`adapterhub`: folders of the `adapters` library; `composable_sft`: `pytorch_diff.bin`; `xmod`: the
language modules inside an XMOD checkpoint. `module` brings one into a zoo and takes one out.
"""
