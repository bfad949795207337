--[[
  AOFlagger strategy for DSA-110 tiles: 24 integrations of 12.9 s, up to 768 channels.
  The input is one image per baseline, the mean of the XX and YY amplitudes, each in units of its own median,
  minus one (contimg/flag.py).

  The data are not calibrated: amplitudes carry gains and bandpasses, and a bright calibrator gives fringes.
  So what is thresholded is the amplitude minus a smooth fit over time and frequency. The fit leaves out what a
  less sensitive pass found, and each pass starts anew: what only a poor fit made stand out is freed again.
  Subbands are never scaled against each other. With 24 integrations statistics over time alone are poor, so no
  integration or channel is judged by its own rms: SumThreshold adds up along both axes.
  Flags are not grown here: contimg/flag.py does that where many baselines agree.
  Samples flagged on input (missing subbands, no data) take no part.
]]

aoflagger.require_min_version("3.0")

function execute(input)
  local base_threshold = 1.0 -- AOFlagger's usual sensitivity: about 0.1 % of pure noise is flagged
  local earlier_factors = { 2.0 } -- how much less sensitive the passes before are; a second one changed nothing

  for _, polarization in ipairs(input:get_polarizations()) do
    local before = input:convert_to_polarization(polarization)
    local data = before:copy()

    for _, factor in ipairs(earlier_factors) do
      local threshold = base_threshold * factor
      aoflagger.sumthreshold_masked(data, before, threshold, threshold, true, true)

      -- Kernel of 21 integrations by 31 channels, Gaussian sigmas of 2.5 and 5.
      data:set_visibilities(before)
      data:join_mask(before)
      aoflagger.low_pass_filter(data, 21, 31, 2.5, 5.0)
      local residual = before - data
      residual:set_mask(before)
      data = residual
    end

    aoflagger.sumthreshold_masked(data, before, base_threshold, base_threshold, true, true)
    data:join_mask(before)
    input:set_polarization_data(polarization, data)
  end
end
