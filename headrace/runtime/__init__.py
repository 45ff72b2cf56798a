"""The runtime: what turns a topology's steps into work on partitions, under Faust."""
