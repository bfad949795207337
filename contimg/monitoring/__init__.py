"""What a running installation uses, does and needs: resources, disk, forecasts, trends and alarms."""
